"""`ctpolicy apply`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.apply.protocol import apply_plan
from ctpolicy.cli.host import kernel, plan_files
from ctpolicy.cli.options import netns, policies, yes
from ctpolicy.cli.output import may_go_on, print_lines
from ctpolicy.plan.report import plan_lines


@click.command("apply")
@policies
@netns
@yes
def command(policies: tuple[Path, ...], netns: str | None, yes: bool) -> None:
    """Make a policy the live one.

    Only what differs is written, in one transaction; then the host is read again and compared. On a terminal the plan
    is shown first and you are asked. Applying a policy that is live already writes nothing.

    \b
      sudo ctpolicy apply examples/openshift-worker.yaml
      sudo ctpolicy apply --yes --netns blue examples/openshift-worker.yaml
    """
    plan = plan_files(policies, netns)
    print_lines(plan_lines(plan))
    if not plan:
        return
    if not may_go_on("Apply this?", yes):
        click.echo("Nothing was changed.")
        return
    apply_plan(plan, kernel(netns))
    click.echo("Applied: the host was read again and is as planned.")
