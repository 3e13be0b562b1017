"""`ctpolicy remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.protocol import Order, apply
from ctpolicy.cli.host import backend_named, doors_of, plan_to_return
from ctpolicy.cli.options import backend, lock_wait, netns, state, yes
from ctpolicy.cli.output import asks, may_go_on, print_lines, tell
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.report import plan_lines


@click.command("remove")
@netns
@backend
@yes
@lock_wait
@state
def command(netns: str | None, backend: str | None, yes: bool, lock_wait: float, state: Path | None) -> None:
    """Remove what ctpolicy has put on this host.

    Nothing else is touched. `ctpolicy rollback` brings it back.

    \b
      sudo ctpolicy remove
    """
    chosen = backend_named(backend)

    def show(plan: Plan[Any]) -> bool:
        print_lines(plan_lines(plan))
        return not plan or may_go_on("Remove it? Everything will be tracked again.", yes)

    order = Order("remove", show, asks(yes), lock_wait=lock_wait, tells=tell)
    done = apply(lambda: plan_to_return(netns, chosen, None), order, doors_of(chosen, netns, state))
    if done is None:
        click.echo("Nothing was changed.")
    elif done:
        click.echo("Removed: the host was read again, and nothing of ctpolicy's is left.")
