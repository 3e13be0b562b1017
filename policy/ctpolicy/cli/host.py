"""The host that a command is about: this one, another namespace, or what was saved of one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ctpolicy.cli.options import read_dump
from ctpolicy.errors import InputError
from ctpolicy.language.load import load_files
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.kernel import Libnftables, namespace_path
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.live import Live
from ctpolicy.plan.plan import Plan, plan_compiled, plan_removal


def kernel(netns: str | None) -> Libnftables:
    """The kernel, in a network namespace if one is given by name or path."""
    return Libnftables(namespace_path(netns) if netns else None)


def read_live(netns: str | None, dump: Path | None = None) -> Live:
    """Everything live, whoever it belongs to.

    Raises:
        InputError: both a namespace and a dump were given, or one of them is not there.
    """
    if dump is None:
        return Live(kernel(netns).read_ruleset())
    if netns is not None:
        raise InputError("Either --netns or --live: a saved listing is of no namespace.")
    return Live(read_text(read_dump(dump)))


def plan_files(policies: Sequence[Path], netns: str | None, dump: Path | None = None) -> Plan[Table]:
    """Plan to make policies live. The kernel lists a large table for as long as its policy is read and compiled.

    Raises:
        PolicyError: the policies have mistakes.
        InputError: both a namespace and a dump were given, or one of them is not there.
        HostError: what is live cannot be read, or is somebody else's.
    """
    with ThreadPoolExecutor(max_workers=1) as other:
        reading = other.submit(read_live, netns, dump)
        policy = load_files(policies)
        desired = NFTABLES.compile(policy)
        live = reading.result()
        return plan_compiled(NFTABLES, policy, desired, live.table, live.foreign)


def plan_to_remove(netns: str | None) -> Plan[Table]:
    """Plan to remove everything of ours."""
    live = read_live(netns)
    return plan_removal(NFTABLES, live.table, live.foreign)
