"""`ctpolicy plan`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.cli.host import backend_named, plan_files
from ctpolicy.cli.options import (
    CHANGES_PENDING,
    as_json,
    backend,
    detailed_exitcode,
    live_dump,
    netns,
    no_ipset,
    policies,
)
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.plan.as_json import plan_json
from ctpolicy.plan.report import plan_lines


@click.command("plan")
@policies
@netns
@live_dump
@backend
@no_ipset
@as_json
@detailed_exitcode
def command(
    policies: tuple[Path, ...],
    netns: str | None,
    live: Path | None,
    backend: str | None,
    no_ipset: bool,
    as_json: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what applying a policy would change.

    First what changes for traffic, by entry and with a packet that shows it, then the rules. With --live it needs no
    privilege and touches no host.

    \b
      sudo ctpolicy plan examples/openshift-worker.yaml
      ssh worker nft -j list ruleset | ctpolicy plan --live - examples/openshift-worker.yaml
    """
    plan = plan_files(policies, netns, live, backend_named(backend, not no_ipset), only_to_look=True)
    if as_json:
        print_json(plan_json(plan))
    else:
        print_lines(plan_lines(plan))
    return CHANGES_PENDING if plan and detailed_exitcode else 0
