"""`ctpolicy plan`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import click

from ctpolicy.apply.files import write_file
from ctpolicy.cli.existing import NOT_OF_A_DUMP, forecast_of
from ctpolicy.cli.host import backend_named, plan_files
from ctpolicy.cli.options import (
    CHANGES_PENDING,
    FOUND,
    as_json,
    backend,
    detailed_exitcode,
    live_dump,
    netns,
    no_ipset,
    policies,
)
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.cli.saved import plan_afresh, plan_and_save, refuse_stale, saved_plan_in
from ctpolicy.cli.waiting import bar
from ctpolicy.errors import InputError
from ctpolicy.plan.as_json import plan_json
from ctpolicy.plan.consequences import MOST_WORK, FailOn
from ctpolicy.plan.remedying import LESS_WORK, remedies_file, remedies_for, remedy_lines
from ctpolicy.plan.report import plan_lines


@click.command("plan")
@policies
@netns
@live_dump
@backend
@no_ipset
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Save the plan there as well, for `ctpolicy apply FILE`.",
)
@click.option(
    "--remedies",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write what helps against the hazards there: a script, with entries for policies in its comments.",
)
@click.option(
    "--fail-on",
    type=click.Choice([one.value for one in FailOn]),
    default=FailOn.NONE.value,
    show_default=True,
    help="Exit with 8 if there are hazards that are certain, or any that are possible.",
)
@as_json
@detailed_exitcode
def command(
    policies: tuple[Path, ...],
    netns: str | None,
    live: Path | None,
    backend: str | None,
    no_ipset: bool,
    out: Path | None,
    remedies: Path | None,
    fail_on: str,
    as_json: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what applying a policy would change.

    First what changes for traffic, by entry and with a packet that shows it, then the rules, then the hazards: what
    would break on this host, by which of its rules, and what helps. Then how many of the entries that are there become
    pointless and when they time out. With --live it needs no privilege and touches no host.

    With --out the plan is saved, to be reviewed and then applied as it is: `ctpolicy apply FILE` refuses to if anything
    has moved since. `ctpolicy plan FILE` shows it again, and what has moved, if it has (exit status 7).

    \b
      sudo ctpolicy plan examples/openshift-worker.yaml
      ssh worker nft -j list ruleset | ctpolicy plan --live - examples/openshift-worker.yaml
      sudo ctpolicy plan --out change.json examples/openshift-worker.yaml && sudo ctpolicy apply change.json
    """
    saved = saved_plan_in(policies, backend, no_ipset)
    if saved and out:
        raise InputError(f"{policies[0]} is a saved plan already: with --out, give the policies.")
    if saved:
        plan = plan_afresh(saved, netns, live)
    elif out:
        plan = plan_and_save(policies, netns, live, backend, no_ipset, out)
    else:
        plan = plan_files(policies, netns, live, backend_named(backend, not no_ipset), only_to_look=True)
    existing = NOT_OF_A_DUMP if live is not None else forecast_of(plan, netns)
    with bar() as told:
        told(0, 1, "looking for remedies")
        helps = remedies_for(plan.consequences, MOST_WORK if remedies is not None else LESS_WORK)
    if as_json:
        print_json(plan_json(plan, existing.as_json(), helps))
    else:
        print_lines(chain(plan_lines(plan), remedy_lines(helps), existing.lines() if plan else ()))
    if remedies is not None:
        write_file(remedies, remedies_file(helps).encode())
    if saved:
        refuse_stale(saved, plan)
    if plan.consequences.fail(FailOn(fail_on)):
        return FOUND
    return CHANGES_PENDING if plan and detailed_exitcode else 0
