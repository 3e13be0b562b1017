"""Conntrack entries that were there before the bypass: how many of them a command has made pointless."""

from __future__ import annotations

from typing import Any

import click

from ctpolicy.cli.host import conntrack_of, read_live
from ctpolicy.cli.output import print_lines, tell
from ctpolicy.conntrack.drain import count, drain
from ctpolicy.conntrack.pointless import Pointless
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.conntrack.report import counted_lines, drained_line
from ctpolicy.errors import CtpolicyError, HostError
from ctpolicy.netfilter.backend import Backend
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.live import Live
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.side import MOST_WORK


def pointless_now(backend: Backend[Any], live: Live, conntrack: Conntrack) -> Pointless:
    """What the live rules make pointless.

    Raises:
        HostError: they are not in force, not ours, or too large to be followed.
    """
    own = live.own(backend)
    backend.refuse_foreign(own)
    if own is None:
        raise HostError(f"Nothing of ctpolicy's is live here in {backend.name}: apply a policy first.")
    faults = tuple(backend.faults(own))
    if faults:
        raise HostError(f"The bypass is not in force ({'; '.join(faults)}): its entries may be in use.")
    try:
        with bounded(MOST_WORK):
            return Pointless.now(backend, own, conntrack.addresses(), live.foreign(backend).treatment)
    except TooLargeError as error:
        raise HostError(
            "The live rules have too many addresses and ports that belong together to tell which entries they concern. "
            "Delete those that you know of with `conntrack -D` and a filter."
        ) from error


def tell_of_existing(plan: Plan[Any], netns: str | None, and_drain: bool) -> None:
    """After a change that is live: count the entries that it has made pointless, and delete them if that is wanted.

    The change is made, whatever comes of this; so what fails here is told, and is no failure of it.
    """
    conntrack = conntrack_of(netns)
    try:
        if next(conntrack.entries(), None) is None:
            return
        beside = read_live(netns, backend=plan.backend).foreign(plan.backend).treatment
        with bounded(MOST_WORK):
            pointless = Pointless.by_change(plan.backend, plan.live, plan.desired, conntrack.addresses(), beside)
        counted = count(conntrack.entries(), pointless)
        if not counted:
            return
        click.echo("\nExisting entries, which were made before the change")
        print_lines(f"  {line}".rstrip() for line in counted_lines(counted))
        if and_drain:
            drained = drain(conntrack, pointless, counted)
            tell(drained_line(drained))
            error = drained.error()
            if error:
                tell(str(error))
        else:
            tell("They time out by themselves; `ctpolicy drain` deletes them.")
    except TooLargeError:
        tell("Existing entries were not counted: the rules have too many addresses and ports that belong together.")
    except CtpolicyError as error:
        tell(f"Existing entries were not counted: {error}")
