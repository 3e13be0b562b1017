"""`ctpolicy doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ctpolicy.apply.place import place_of
from ctpolicy.apply.state import State
from ctpolicy.cli.host import read_live
from ctpolicy.cli.options import as_json, netns, state
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.doctor.examine import examine
from ctpolicy.doctor.facts import Unseen
from ctpolicy.doctor.finding import has_fault
from ctpolicy.doctor.gather import gather
from ctpolicy.doctor.ours import gather_own
from ctpolicy.doctor.report import finding_lines, findings_json
from ctpolicy.doctor.this_machine import ThisMachine
from ctpolicy.errors import CtpolicyError
from ctpolicy.namespaces import namespace_path
from ctpolicy.plan.live import Live

FOUND: Final = 8


@click.command("doctor")
@netns
@click.option("--no-trial", is_flag=True, help="Try nothing out in a scratch network namespace.")
@as_json
@state
def command(netns: str | None, no_trial: bool, as_json: bool, state: Path | None) -> int:
    """Say what this host can and what is wrong with it.

    The kernel and what works in it, tried out in a scratch network namespace (which may have it load modules, as
    applying would); programs and their versions; settings that matter; how full the conntrack table is and was, by its
    counters and the kernel's log; which rules have conntrack look at packets at all; who else bypasses it; ctpolicy's
    own rules, memory and boot service. What could not be seen is said, so run it as root to see all. Nothing is
    changed. The exit status is 8 if there is a fault.

    \b
      sudo ctpolicy doctor
      sudo ctpolicy doctor --netns worker --json
    """
    namespace = namespace_path(netns) if netns else None
    machine = ThisMachine(namespace, may_try=not no_trial)
    live = _live(netns)
    place = place_of(namespace, state)
    own = gather_own(machine, State(place), str(place.state), live)
    facts = gather(machine, netns or "", live, own)
    findings = examine(facts)
    if as_json:
        print_json(findings_json(findings, facts.release, facts.namespace))
    else:
        print_lines(finding_lines(findings))
    return FOUND if has_fault(findings) else 0


def _live(netns: str | None) -> Live | Unseen:
    try:
        return read_live(netns)
    except CtpolicyError as error:
        return Unseen(str(error))
