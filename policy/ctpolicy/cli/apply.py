"""`ctpolicy apply`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.protocol import Order, apply
from ctpolicy.cli.accepting import accept_hazards, allowing
from ctpolicy.cli.existing import tell_of_existing
from ctpolicy.cli.host import backend_named, doors_of, plan_files
from ctpolicy.cli.options import backend, lock_wait, netns, no_ipset, policies, state, yes
from ctpolicy.cli.output import asks, may_go_on, print_lines, tell
from ctpolicy.cli.saved import backend_of, plan_as_saved, saved_plan_in
from ctpolicy.errors import InputError
from ctpolicy.language.trust import whoever_asked
from ctpolicy.plan.live import BOTH_VARIANTS
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.report import plan_lines


@click.command("apply")
@policies
@click.option(
    "--confirm",
    metavar="SECONDS",
    type=click.FloatRange(1, 86400),
    help="Take it back after so many seconds, unless `ctpolicy confirm` was run.",
)
@click.option("--if-changed", is_flag=True, help="Say nothing if there is nothing to do; never ask.")
@accept_hazards
@click.option("--drain", is_flag=True, help="Delete the conntrack entries that the change makes pointless.")
@netns
@backend
@no_ipset
@yes
@lock_wait
@state
def command(
    policies: tuple[Path, ...],
    confirm: float | None,
    if_changed: bool,
    accept_hazards: bool,
    drain: bool,
    netns: str | None,
    backend: str | None,
    no_ipset: bool,
    yes: bool,
    lock_wait: float,
    state: Path | None,
) -> None:
    """Make a policy the live one.

    The rules are tried out in a scratch namespace first. Only what differs is written, and no packet slips through in
    between; then the host is read again and compared. If something fails, what was done is put back, and that is looked
    at too. On a terminal the plan is shown first and you are asked. Applying a policy that is live already writes
    nothing.

    If traffic would be lost for certain (see `ctpolicy plan`), nothing is written and the exit status is 8, unless you
    give --accept-hazards, or the entry's `acknowledge` names the hazard's code.

    With --confirm it is taken back by itself unless you confirm it, best from a new connection: that works also if this
    one is cut off.

    Then the conntrack entries are counted that the change makes pointless; with --drain they are deleted.

    A plan that `ctpolicy plan --out FILE` has saved is given in the place of policies. If anything has moved since it
    was made, it is refused, and you are told what (exit status 7).

    \b
      sudo ctpolicy apply examples/openshift-worker.yaml
      sudo ctpolicy apply --confirm 60 examples/openshift-worker.yaml && ssh "$HOSTNAME" sudo ctpolicy confirm
      sudo ctpolicy apply --if-changed /etc/ctpolicy/policy.yaml
    """
    if drain and confirm is not None:
        raise InputError("Entries cannot be brought back, so first confirm the change, then run `ctpolicy drain`.")
    saved = saved_plan_in(policies, backend, no_ipset, whoever_asked())
    chosen = backend_of(saved) if saved else backend_named(backend, not no_ipset)
    doors = doors_of(chosen, netns, state)

    allow = allowing(accept_hazards)

    def show(plan: Plan[Any]) -> bool:
        if plan or not if_changed:
            print_lines(plan_lines(plan))
        if plan and backend is None and not saved and BOTH_VARIANTS in plan.notes:
            raise InputError("Both variants of iptables are in use here: say with --backend what is to keep the rules.")
        allow(plan)
        return not plan or if_changed or may_go_on("Apply this?", yes)

    order = Order("apply", show, asks(yes or if_changed), confirm, lock_wait, tell, allow)
    make = partial(plan_as_saved, saved, netns) if saved else partial(plan_files, policies, netns, backend=chosen)
    done = apply(make, order, doors)
    if done is None:
        click.echo("Nothing was changed.")
    elif done:
        click.echo("Applied: the host was read again and is as planned.")
        if confirm is not None:
            click.echo(f"It is taken back in {confirm:g} seconds unless you run `ctpolicy confirm`.")
        tell_of_existing(done, netns, drain)
