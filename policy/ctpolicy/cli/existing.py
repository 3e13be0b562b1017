"""Conntrack entries that were there before the bypass: how many of them a command has made pointless."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import click

from ctpolicy.cli.host import conntrack_of, read_live
from ctpolicy.cli.output import print_lines, tell
from ctpolicy.conntrack.drain import count, drain
from ctpolicy.conntrack.forecast import Forecast, forecast, forecast_json, forecast_lines, pending
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


LESS_WORK: Final = 3_000_000
"""What telling which entries a plan makes pointless may take: some 3 s, beside what the plan itself takes."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What a plan would make of the entries that are there.

    Args:
        forecast: the count; None if there is none.
        note: why there is none, or nothing.
    """

    forecast: Forecast | None = None
    note: str = ""

    def lines(self) -> Iterator[str]:
        """As people read it; none where there is nothing to say."""
        if self.forecast is not None:
            yield from pending(forecast_lines(self.forecast))
        elif self.note:
            yield from pending([self.note])

    def as_json(self) -> dict[str, Any]:
        """As a part of a plan's JSON."""
        counted = None if self.forecast is None else forecast_json(self.forecast)
        return {"counted": counted, "note": self.note or None}


NOT_OF_A_DUMP: Final = Existing(note="with --live they are not known")


def forecast_of(plan: Plan[Any], netns: str | None) -> Existing:
    """What a plan would make of the entries that are there now. That they cannot be counted is no failure of it."""
    if not plan:
        return Existing(note="nothing changes")
    conntrack = conntrack_of(netns)
    try:
        if next(conntrack.entries(), None) is None:
            return Existing(note="none: the conntrack table is empty, or conntrack is not in use here")
        with bounded(LESS_WORK):
            pointless = Pointless.by_change(plan.backend, plan.live, plan.desired, conntrack.addresses())
        return Existing(forecast(conntrack, pointless))
    except TooLargeError:
        return Existing(note="not counted: the rules have too many addresses and ports that belong together")
    except CtpolicyError as error:
        return Existing(note=f"not counted: {error}")


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
