"""What a change makes pointless of the entries that are there, and when these will be gone by their timeouts.

Nothing refreshes an entry of which both directions stay untracked, so its timeout is what is left of it. Others go on
being refreshed, and are not among those that are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ctpolicy.conntrack.pointless import LeftAlone, Pointless
from ctpolicy.conntrack.table import ConntrackTable

SECONDS: Final = 5.0
"""How long entries are counted; some 300,000 (Linux 6.18, Python 3.11, two cores)."""

_OFTEN: Final = 4096
"""Entries between two looks at the clock."""

_FINE: Final = 600
_COARSE: Final = 60
"""Timeouts above the one are told apart by so many seconds, so that there are never more than 8,000 of them."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of the entries of a table, once a change is live.

    Args:
        total: entries that were looked at.
        is_whole: whether those are all; else counting took too long.
        pointless: those that the change makes pointless, by policy entry.
        left_alone: those that it bypasses and that are not pointless all the same, by the reason.
        timeouts: how many of the pointless ones are gone after so many seconds, in their order.
    """

    total: int
    is_whole: bool = True
    pointless: dict[str, int] = field(default_factory=dict)
    left_alone: dict[LeftAlone, int] = field(default_factory=dict)
    timeouts: tuple[tuple[int, int], ...] = ()

    @property
    def number(self) -> int:
        """How many are made pointless."""
        return sum(self.pointless.values())

    def gone_after(self, percent: int) -> int | None:
        """Seconds after which so many percent of the pointless ones are gone; None if there are none."""
        wanted, gone = self.number * percent, 0
        for seconds, number in self.timeouts:
            gone += number
            if gone * 100 >= wanted:
                return seconds
        return None


def forecast(table: ConntrackTable, pointless: Pointless, seconds: float = SECONDS) -> Forecast:
    """Count the entries of a table that a change makes pointless.

    Args:
        table: to be read.
        pointless: by the change.
        seconds: how long it may take; what has been read by then is told.

    Raises:
        HostError: it cannot be read.
        DeadlineError: no answer in time.
    """
    until = table.seconds() + seconds
    total, is_whole = 0, True
    by_entry: Counter[str] = Counter()
    left_alone: Counter[LeftAlone] = Counter()
    timeouts: Counter[int] = Counter()
    for entry in table.entries():
        total += 1
        judged = pointless.judge(entry)
        if isinstance(judged, str):
            by_entry[judged] += 1
            timeouts[_rounded(entry.timeout or 0)] += 1
        elif judged is not None:
            left_alone[judged] += 1
        if total % _OFTEN == 0 and table.seconds() > until:
            is_whole = False
            break
    ordered = {one: left_alone[one] for one in LeftAlone if left_alone[one]}
    return Forecast(total, is_whole, dict(sorted(by_entry.items())), ordered, tuple(sorted(timeouts.items())))


def _rounded(timeout: int) -> int:
    """Upwards, so that nothing is said to be gone before it is."""
    return timeout if timeout <= _FINE else -(-timeout // _COARSE) * _COARSE


def forecast_lines(found: Forecast) -> Iterator[str]:
    """As people read it."""
    some = "" if found.is_whole else "the first "
    if not found.number:
        yield f"none of {some}{_entries(found.total)} in the conntrack table becomes pointless"
    else:
        names = ", ".join(f"{name} {number:,}" for name, number in found.pointless.items())
        becomes = "becomes" if found.number == 1 else "become"
        yield f"{found.number:,} of {some}{_entries(found.total)} in the conntrack table {becomes} pointless: {names}"
        half, most, all_of_them = (_duration(found.gone_after(percent) or 0) for percent in (50, 90, 100))
        yield f"by their timeouts half of them are gone after {half}, 90 % after {most}, all after {all_of_them}"
        yield "`ctpolicy drain`, or `apply --drain`, deletes them at once"
    for reason, number in found.left_alone.items():
        yield f"{number:,} stay, though they are bypassed: each {reason.value}"


def forecast_json(found: Forecast) -> dict[str, Any]:
    """As one object, a part of schemas/plan-v1.schema.json."""
    return {
        "total": found.total,
        "complete": found.is_whole,
        "pointless": [{"name": name, "entries": number} for name, number in found.pointless.items()],
        "leftAlone": [{"reason": one.name.lower(), "entries": number} for one, number in found.left_alone.items()],
        "goneAfter": None
        if not found.number
        else {name: found.gone_after(percent) for name, percent in (("half", 50), ("most", 90), ("all", 100))},
    }


def _entries(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


_UNITS: Final = ((86400, "days"), (3600, "hours"), (60, "minutes"))


def _duration(seconds: int) -> str:
    """In the largest unit of which there are two; upwards."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {unit}"
    return f"{seconds} s"


def pending(lines: Iterable[str]) -> Iterator[str]:
    """The lines under their heading, as a part of a plan."""
    yield ""
    yield "Entries that are there now"
    yield from (f"  {line}" for line in lines)
