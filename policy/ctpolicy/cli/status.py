"""`ctpolicy status`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.cli.host import backend_named, fitting, read_live
from ctpolicy.cli.options import (
    CHANGES_PENDING,
    as_json,
    backend,
    detailed_exitcode,
    live_dump,
    netns,
    no_ipset,
    optional_policies,
)
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.language.load import load_files
from ctpolicy.plan.status import Desired, status, status_json, status_lines


@click.command("status")
@optional_policies
@netns
@live_dump
@backend
@no_ipset
@as_json
@detailed_exitcode
def command(
    policies: tuple[Path, ...],
    netns: str | None,
    live: Path | None,
    backend: str | None,
    no_ipset: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> int:
    """Show live entries, counters and drift.

    Each entry with its packets and bytes, whether the bypass is in force, and what others' rules keep from it. With a
    policy, also what is live otherwise than the policy means, told apart by what was done to it: edited, removed,
    added, moved; --detailed-exitcode then exits with 10 if anything is, or if the bypass is not in force.

    \b
      sudo ctpolicy status
      sudo ctpolicy status --json examples/openshift-worker.yaml
    """
    everything = read_live(netns, live, backend_named(backend, not no_ipset))
    chosen = fitting(backend_named(backend, not no_ipset), everything)
    chosen.refuse_foreign(everything.own(chosen))
    desired = Desired(chosen.compile(load_files(policies))) if policies else None
    found = status(chosen, everything, desired)
    if as_json:
        print_json(status_json(found))
    else:
        print_lines(status_lines(found))
    return CHANGES_PENDING if detailed_exitcode and (found.drifted or not found.in_force) else 0
