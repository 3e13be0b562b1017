"""`ctpolicy apply`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.apply.protocol import apply_plan
from ctpolicy.cli.host import backend_named, host_of, plan_files
from ctpolicy.cli.options import backend, netns, no_ipset, policies, yes
from ctpolicy.cli.output import may_go_on, print_lines
from ctpolicy.errors import InputError
from ctpolicy.plan.live import BOTH_VARIANTS
from ctpolicy.plan.report import plan_lines


@click.command("apply")
@policies
@netns
@backend
@no_ipset
@yes
def command(policies: tuple[Path, ...], netns: str | None, backend: str | None, no_ipset: bool, yes: bool) -> None:
    """Make a policy the live one.

    Only what differs is written, and no packet slips through in between; then the host is read again and compared. If
    something fails, what was done is put back, and that is looked at too. On a terminal the plan is shown first and you
    are asked. Applying a policy that is live already writes nothing.

    \b
      sudo ctpolicy apply examples/openshift-worker.yaml
      sudo ctpolicy apply --yes --netns blue examples/openshift-worker.yaml
    """
    chosen = backend_named(backend, not no_ipset)
    plan = plan_files(policies, netns, backend=chosen)
    print_lines(plan_lines(plan))
    if not plan:
        return
    if backend is None and BOTH_VARIANTS in plan.notes:
        raise InputError("Both variants of iptables are in use here: say with --backend what is to keep the rules.")
    if not may_go_on("Apply this?", yes):
        click.echo("Nothing was changed.")
        return
    apply_plan(plan, host_of(plan.backend, netns))
    click.echo("Applied: the host was read again and is as planned.")
