"""`ctpolicy migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.apply.protocol import apply_plan
from ctpolicy.cli.host import BACKENDS, backend_named, host_of, plan_files, plan_to_remove, read_live
from ctpolicy.cli.options import netns, no_ipset, policies, yes
from ctpolicy.cli.output import may_go_on, print_lines
from ctpolicy.errors import InputError
from ctpolicy.plan.report import plan_lines


@click.command("migrate")
@policies
@click.option("--from", "source", type=click.Choice(BACKENDS), required=True, help="What keeps the rules now.")
@click.option("--to", "target", type=click.Choice(BACKENDS), required=True, help="What is to keep them.")
@netns
@no_ipset
@yes
def command(policies: tuple[Path, ...], source: str, target: str, netns: str | None, no_ipset: bool, yes: bool) -> None:
    """Move a host from one backend to another.

    The new rules are applied and verified before the old ones go, so that no packet is tracked in between. If the new
    ones cannot be applied, the old ones stay.

    \b
      sudo ctpolicy migrate --from iptables-legacy --to nftables examples/openshift-worker.yaml
    """
    if source == target:
        raise InputError("There is nothing to move: --from and --to are the same.")
    old, new = backend_named(source), backend_named(target, not no_ipset)
    if read_live(netns, backend=old).own(old) is None:
        raise InputError(f"There is nothing of ctpolicy's in {source} to move. To begin, use `ctpolicy apply`.")
    arrival = plan_files(policies, netns, backend=new)
    click.echo(f"First: {target}")
    print_lines(plan_lines(arrival))
    if not may_go_on(f"Apply this, and then remove what is in {source}?", yes):
        click.echo("Nothing was changed.")
        return
    apply_plan(arrival, host_of(arrival.backend, netns))
    departure = plan_to_remove(netns, old)
    click.echo(f"\nThen: {source}")
    print_lines(plan_lines(departure))
    apply_plan(departure, host_of(old, netns))
    click.echo(f"Moved: the host was read again. {target} is as planned; nothing of ctpolicy's is left in {source}.")
