"""`ctpolicy rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.confirmation import take_back
from ctpolicy.apply.protocol import Order, apply, to_go_back_to
from ctpolicy.apply.record import Change, Outcome
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import close_those_of_other_boots
from ctpolicy.cli.host import backend_named, doors_of, plan_to_return, state_of
from ctpolicy.cli.options import lock_wait, netns, state, yes
from ctpolicy.cli.output import asks, may_go_on, print_lines, tell
from ctpolicy.errors import InputError
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.report import plan_lines


@click.command("rollback")
@click.argument("number", metavar="[N]", type=int, required=False)
@netns
@yes
@lock_wait
@state
def command(number: int | None, netns: str | None, yes: bool, lock_wait: float, state: Path | None) -> None:
    """Go back to what was live before a change.

    Without a number it undoes the last change, and takes back one that awaits confirmation at once. With the number of
    a change, as `ctpolicy history` shows it, it goes back to what was live before that. It is a change like any other:
    tried out, verified, and remembered, so that another rollback undoes it.

    \b
      sudo ctpolicy rollback
      sudo ctpolicy rollback 7
    """
    remembered = state_of(netns, state)
    if number is None and _takes_back(remembered, netns, state, lock_wait):
        return
    change = _last(remembered) if number is None else remembered.change(number)
    kept = remembered.before(change)
    chosen = backend_named(kept.backend)
    before = to_go_back_to(chosen, kept)

    def show(plan: Plan[Any]) -> bool:
        print_lines(plan_lines(plan))
        return not plan or may_go_on(f"Go back to what was live before change {change.number}?", yes)

    order = Order(f"rollback {change.number}", show, asks(yes), lock_wait=lock_wait, tells=tell)
    done = apply(lambda: plan_to_return(netns, chosen, before), order, doors_of(chosen, netns, state))
    if done is None:
        click.echo("Nothing was changed.")
    elif done:
        click.echo(f"Rolled back: the host was read again and is as it was before change {change.number}.")


def _takes_back(remembered: State, netns: str | None, root: Path | None, lock_wait: float) -> bool:
    """Take back the change that awaits confirmation, if there is one."""
    if not _waiting(remembered):
        return False
    with remembered.locked(lock_wait):
        close_those_of_other_boots(remembered)
        change = _waiting(remembered)
        if change:
            chosen = backend_named(change.backend)
            take_back(change, "By `ctpolicy rollback`.", chosen, doors_of(chosen, netns, root))
            click.echo(f"Change {change.number} is taken back: the host was read again and is as it was before it.")
    return change is not None


def _waiting(remembered: State) -> Change | None:
    change = remembered.open_change()
    return change if change is not None and change.confirm_by is not None else None


def _last(remembered: State) -> Change:
    """The last change that was made and is live, as far as we know."""
    made = [change for change in remembered.changes() if change.outcome in {Outcome.DONE, Outcome.CONFIRMED}]
    if not made:
        raise InputError("Nothing is remembered to go back to: no change was made here yet.")
    return made[-1]
