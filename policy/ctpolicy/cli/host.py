"""The live table that a command is about: this host's, another namespace's, or that of a saved listing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ctpolicy.cli.options import read_dump
from ctpolicy.errors import InputError
from ctpolicy.language.load import load_files
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.foreign import foreign
from ctpolicy.nftables.kernel import Libnftables, namespace_path
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table, read_text
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.plan.plan import Plan, plan_table


def kernel(netns: str | None) -> Libnftables:
    """The kernel, in a network namespace if one is given by name or path."""
    return Libnftables(namespace_path(netns) if netns else None)


def live_table(netns: str | None, dump: Path | None) -> Table | None:
    """Our live table, or None if there is none.

    Raises:
        InputError: both a namespace and a dump were given, or one of them is not there.
    """
    if dump is None:
        return kernel(netns).read_table()
    return find_table(live_ruleset(netns, dump), TABLE_FAMILY, TABLE_NAME)


def live_ruleset(netns: str | None, dump: Path | None = None) -> Ruleset:
    """Every live table, whoever it belongs to.

    Raises:
        InputError: both a namespace and a dump were given, or one of them is not there.
    """
    if dump is None:
        return kernel(netns).read_ruleset()
    if netns is not None:
        raise InputError("Either --netns or --live: a saved listing is of no namespace.")
    return read_text(read_dump(dump))


def plan_files(policies: Sequence[Path], netns: str | None, dump: Path | None = None) -> Plan:
    """Plan to make policies live. The kernel lists a large table for as long as its policy is read and compiled.

    Raises:
        PolicyError: the policies have mistakes.
        InputError: both a namespace and a dump were given, or one of them is not there.
        HostError: the live table cannot be read, or is somebody else's.
    """
    with ThreadPoolExecutor(max_workers=1) as other:
        reading = other.submit(live_ruleset, netns, dump)
        policy = load_files(policies)
        desired = compile_policy(policy)
        live = reading.result()
        return plan_table(policy, desired, find_table(live, TABLE_FAMILY, TABLE_NAME), partial(foreign, live))
