"""`ctpolicy status`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.cli.host import read_live
from ctpolicy.cli.options import CHANGES_PENDING, as_json, detailed_exitcode, live_dump, netns, optional_policies
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.language.load import load_files
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.plan.plan import plan_policy
from ctpolicy.plan.status import status, status_json, status_lines


@click.command("status")
@optional_policies
@netns
@live_dump
@as_json
@detailed_exitcode
def command(
    policies: tuple[Path, ...], netns: str | None, live: Path | None, as_json: bool, detailed_exitcode: bool
) -> int:
    """Show live entries, counters and drift.

    Each entry with its packets and bytes, and whether the bypass is in force. With a policy, also whether the live
    table has drifted from it; --detailed-exitcode then exits with 10 if it has, or if the bypass is not in force.

    \b
      sudo ctpolicy status
      sudo ctpolicy status --json examples/openshift-worker.yaml
    """
    table = read_live(netns, live).table
    NFTABLES.refuse_foreign(table)
    plan = plan_policy(NFTABLES, load_files(policies), table) if policies else None
    found = status(NFTABLES, table, plan)
    if as_json:
        print_json(status_json(found))
    else:
        print_lines(status_lines(found))
    return CHANGES_PENDING if detailed_exitcode and (found.drifted or not found.in_force) else 0
