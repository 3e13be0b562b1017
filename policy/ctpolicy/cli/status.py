"""`ctpolicy status`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.cli.host import backend_named, read_live
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
from ctpolicy.plan.plan import plan_policy
from ctpolicy.plan.status import status, status_json, status_lines


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

    Each entry with its packets and bytes, and whether the bypass is in force. With a policy, also whether the live
    table has drifted from it; --detailed-exitcode then exits with 10 if it has, or if the bypass is not in force.

    \b
      sudo ctpolicy status
      sudo ctpolicy status --json examples/openshift-worker.yaml
    """
    chosen = backend_named(backend, not no_ipset)
    own = read_live(netns, live, chosen).own(chosen)
    chosen.refuse_foreign(own)
    found = status(chosen, own, plan_policy(chosen, load_files(policies), own) if policies else None)
    if as_json:
        print_json(status_json(found))
    else:
        print_lines(status_lines(found))
    return CHANGES_PENDING if detailed_exitcode and (found.drifted or not found.in_force) else 0
