"""`ctpolicy remove`."""

from __future__ import annotations

from functools import partial

import click

from ctpolicy.apply.protocol import apply_plan
from ctpolicy.cli.host import kernel, live_ruleset
from ctpolicy.cli.options import netns, yes
from ctpolicy.cli.output import may_go_on, print_lines
from ctpolicy.nftables.foreign import foreign
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table
from ctpolicy.plan.plan import plan_removal
from ctpolicy.plan.report import plan_lines


@click.command("remove")
@netns
@yes
def command(netns: str | None, yes: bool) -> None:
    """Remove what ctpolicy has put on this host.

    Nothing else is touched.

    \b
      sudo ctpolicy remove
    """
    live = live_ruleset(netns)
    plan = plan_removal(find_table(live, TABLE_FAMILY, TABLE_NAME), partial(foreign, live))
    print_lines(plan_lines(plan))
    if not plan:
        return
    if not may_go_on("Remove it? Everything will be tracked again.", yes):
        click.echo("Nothing was changed.")
        return
    apply_plan(plan, kernel(netns))
    click.echo("Removed: the host was read again, and nothing of ctpolicy's is left.")
