"""`ctpolicy migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.migration import migrate
from ctpolicy.apply.protocol import Order, apply
from ctpolicy.cli.accepting import accept_hazards, allowing
from ctpolicy.cli.host import BACKENDS, backend_named, doors_of, plan_files, plan_to_return, read_live
from ctpolicy.cli.options import lock_wait, netns, no_ipset, policies, state, yes
from ctpolicy.cli.output import asks, may_go_on, print_lines, tell
from ctpolicy.errors import InputError
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.report import plan_lines


@click.command("migrate")
@policies
@click.option("--from", "source", type=click.Choice(BACKENDS), required=True, help="What keeps the rules now.")
@click.option("--to", "target", type=click.Choice(BACKENDS), required=True, help="What is to keep them.")
@netns
@no_ipset
@accept_hazards
@yes
@lock_wait
@state
def command(
    policies: tuple[Path, ...],
    source: str,
    target: str,
    netns: str | None,
    no_ipset: bool,
    accept_hazards: bool,
    yes: bool,
    lock_wait: float,
    state: Path | None,
) -> None:
    """Move a host from one backend to another.

    The new rules are applied and verified before the old ones go, so that no packet is tracked in between. If the new
    ones cannot be applied, the old ones stay. Where the policy is another than what is live, what it leaves untracked
    besides is looked at for hazards, as `apply` does.

    \b
      sudo ctpolicy migrate --from iptables-legacy --to nftables examples/openshift-worker.yaml
    """
    if source == target:
        raise InputError("There is nothing to move: --from and --to are the same.")
    old, new = backend_named(source), backend_named(target, not no_ipset)
    if read_live(netns, backend=old).own(old) is None:
        raise InputError(f"There is nothing of ctpolicy's in {source} to move. To begin, use `ctpolicy apply`.")

    allow = allowing(accept_hazards)

    def show_arrival(plan: Plan[Any]) -> bool:
        click.echo(f"First: {target}")
        print_lines(plan_lines(plan))
        allow(plan)
        return may_go_on(f"Apply this, and then remove what is in {source}?", yes)

    def show_departure(plan: Plan[Any]) -> bool:
        click.echo(f"\nThen: {source}")
        print_lines(plan_lines(plan))
        return True

    arriving = Order("migrate", show_arrival, asks(yes), lock_wait=lock_wait, tells=tell, allow=allow)
    departing = Order("migrate", show_departure, lock_wait=lock_wait, tells=tell)
    moved = migrate(
        lambda: apply(lambda: plan_files(policies, netns, backend=new), arriving, doors_of(new, netns, state)),
        lambda: apply(lambda: plan_to_return(netns, old, None), departing, doors_of(old, netns, state)),
        old,
        new,
    )
    if not moved:
        click.echo("Nothing was changed.")
        return
    click.echo(f"Moved: the host was read again. {target} is as planned; nothing of ctpolicy's is left in {source}.")
