"""Counting the entries that are pointless, and deleting exactly those.

The table is read as often as that takes, and never held: it may have millions of entries. The last reading is the one
that finds none, so that what is reported has been looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.conntrack.entry import Entry
from ctpolicy.conntrack.pointless import LeftAlone, Pointless
from ctpolicy.conntrack.table import ConntrackTable
from ctpolicy.errors import DeadlineError

SECONDS: Final = 30.0
"""What a drain may take, if not said; 100,000 entries take about 8 (Linux 6.18, two cores)."""

_AT_ONCE: Final = 1024
"""Entries that are deleted before the clock is looked at again."""

_ROUNDS: Final = 3
"""Readings of the table that delete. What is found again after that is made anew, so that it is not pointless."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is in the table.

    Args:
        total: entries of the table.
        pointless: entries that are pointless, by the policy entry that makes them so.
        left_alone: entries that the rules bypass and that are not deleted all the same, by the reason.
    """

    total: int
    pointless: Mapping[str, int] = field(default_factory=dict)
    left_alone: Mapping[LeftAlone, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.pointless)

    @property
    def number(self) -> int:
        """How many are pointless."""
        return sum(self.pointless.values())


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the pointless entries.

    Args:
        deleted: entries that were deleted.
        gone: entries that were gone by themselves when it came to that.
        left: pointless entries that are still there, about so many where the deadline came first.
        in_time: whether the table was read to its end before the deadline.
    """

    deleted: int
    gone: int
    left: int
    in_time: bool

    def error(self) -> DeadlineError | None:
        """What is to be told if pointless entries are left; None if none is."""
        if not self.left:
            return None
        if self.in_time:
            return DeadlineError(
                f"{self.left} entries are there again as often as they are deleted: something makes them anew, though "
                "the rules bypass their packets. See `conntrack -E` and `ctpolicy status`."
            )
        return DeadlineError(
            f"The deadline came before the end: about {self.left} pointless entries are left. Run `ctpolicy drain` "
            "again, with a longer --deadline, or leave them to their timeouts."
        )


def count(entries: Iterable[Entry], pointless: Pointless) -> Counted:
    """Count the entries of a table."""
    total = 0
    by_entry: Counter[str] = Counter()
    left_alone: Counter[LeftAlone] = Counter()
    for entry in entries:
        total += 1
        judgement = pointless.judge(entry)
        if isinstance(judgement, str):
            by_entry[judgement] += 1
        elif judgement is not None:
            left_alone[judgement] += 1
    return Counted(
        total, dict(sorted(by_entry.items())), {one: left_alone[one] for one in LeftAlone if left_alone[one]}
    )


def drain(table: ConntrackTable, pointless: Pointless, counted: Counted, seconds: float = SECONDS) -> Drained:
    """Delete the pointless entries, until a reading of the table finds none or the time is over.

    Args:
        table: to read and to delete from.
        pointless: which those are.
        counted: what a reading before this has found.
        seconds: how long it may take. An answer of the kernel's that does not come is another matter.

    Raises:
        HostError: the table may not be changed.
        DeadlineError: the kernel did not answer; any number of entries may be gone.
    """
    until = table.seconds() + seconds
    done = _Done()
    for _ in range(_ROUNDS):
        found = _round(table, pointless, done, until)
        if found is None:
            return Drained(done.deleted, done.gone, max(counted.number - done.deleted - done.gone, 1), False)
        if not found:
            return Drained(done.deleted, done.gone, 0, True)
    return Drained(done.deleted, done.gone, count(table.entries(), pointless).number, True)


@dataclass(slots=True)
class _Done:
    deleted: int = 0
    gone: int = 0


def _round(table: ConntrackTable, pointless: Pointless, done: _Done, until: float) -> int | None:
    """One reading that deletes; how many pointless entries it has found, None if the time was over first."""
    found = 0
    batch: list[Entry] = []
    for number, entry in enumerate(table.entries(), start=1):
        if entry in pointless:
            found += 1
            batch.append(entry)
        if len(batch) == _AT_ONCE or number % _AT_ONCE == 0:
            if table.seconds() > until:
                return None
            _delete(table, batch, done)
            batch = []
    if batch and table.seconds() > until:
        return None
    _delete(table, batch, done)
    return found


def _delete(table: ConntrackTable, batch: list[Entry], done: _Done) -> None:
    became = table.delete(batch)
    done.deleted += became.deleted
    done.gone += became.gone
