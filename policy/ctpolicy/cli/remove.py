"""`ctpolicy remove`."""

from __future__ import annotations

import click

from ctpolicy.apply.protocol import apply_plan
from ctpolicy.cli.host import backend_named, host_of, plan_to_remove
from ctpolicy.cli.options import backend, netns, yes
from ctpolicy.cli.output import may_go_on, print_lines
from ctpolicy.plan.report import plan_lines


@click.command("remove")
@netns
@backend
@yes
def command(netns: str | None, backend: str | None, yes: bool) -> None:
    """Remove what ctpolicy has put on this host.

    Nothing else is touched.

    \b
      sudo ctpolicy remove
    """
    plan = plan_to_remove(netns, backend_named(backend))
    print_lines(plan_lines(plan))
    if not plan:
        return
    if not may_go_on("Remove it? Everything will be tracked again.", yes):
        click.echo("Nothing was changed.")
        return
    apply_plan(plan, host_of(plan.backend, netns))
    click.echo("Removed: the host was read again, and nothing of ctpolicy's is left.")
