"""`ctpolicy status`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.protocol import own_of
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import unfinished_lines
from ctpolicy.cli.host import backend_named, fitting, read_live, state_of
from ctpolicy.cli.options import (
    CHANGES_PENDING,
    as_json,
    backend,
    detailed_exitcode,
    live_dump,
    netns,
    no_ipset,
    optional_policies,
    state,
)
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.language.load import load_files
from ctpolicy.netfilter.backend import Backend
from ctpolicy.plan.status import Desired, Standard, status, status_json, status_lines


@click.command("status")
@optional_policies
@netns
@live_dump
@backend
@no_ipset
@as_json
@detailed_exitcode
@state
def command(
    policies: tuple[Path, ...],
    netns: str | None,
    live: Path | None,
    backend: str | None,
    no_ipset: bool,
    as_json: bool,
    detailed_exitcode: bool,
    state: Path | None,
) -> int:
    """Show live entries, counters and drift.

    Each entry with its packets and bytes, whether the bypass is in force, and what others' rules keep from it. Also
    what is live otherwise than the policy means, told apart by what was done to it: edited, removed, added, moved.
    Without a policy it is held against what was last applied and confirmed here. --detailed-exitcode exits with 10 if
    anything differs, or if the bypass is not in force.

    \b
      sudo ctpolicy status
      sudo ctpolicy status --json examples/openshift-worker.yaml
    """
    remembered = None if live else state_of(netns, state)
    everything = read_live(netns, live, backend_named(backend, not no_ipset))
    chosen = fitting(backend_named(backend, not no_ipset), everything)
    chosen.refuse_foreign(everything.own(chosen))
    desired = Desired(chosen.compile(load_files(policies))) if policies else _confirmed(remembered, chosen)
    found = status(chosen, everything, desired)
    if remembered:
        found = replace(found, notes=(*found.notes, *unfinished_lines(remembered)))
    if as_json:
        print_json(status_json(found))
    else:
        print_lines(status_lines(found))
    return CHANGES_PENDING if detailed_exitcode and (found.drifted or not found.in_force) else 0


def _confirmed(remembered: State | None, backend: Backend[Any]) -> Desired[Any] | None:
    """What was last confirmed here of this backend, if anything was."""
    kept = remembered.confirmed(backend.name) if remembered else None
    return None if kept is None else Desired(own_of(backend, kept), Standard.CONFIRMED)
