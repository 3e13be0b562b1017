"""What `conntrack stats` finds out: of a live table its facts, rates and entries; of a saved one its entries.

The entries of a live table are read in bounded time, and if that is wanted only the first of them. Facts come first and
cost nothing, so that they are told even where the entries cannot be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Protocol

from ctpolicy.conntrack.dumps import Lines, Stream, tally_entries
from ctpolicy.conntrack.facts import ConntrackFacts, Statistics, TableFacts
from ctpolicy.conntrack.outline import address_name, port_name
from ctpolicy.conntrack.statistics import Row, TableStatistics, Tally

_NORMAL_95: Final = 1.96


class RowSource(Protocol):
    """The entries of a live table, as statistics want them."""

    def rows(self, most: int | None = None, seconds: float | None = None) -> Iterator[list[Row]]:
        """Some at a time; see reader.Conntrack."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened in a time.

    Args:
        seconds: how long that was.
        counted: what was counted in it.
        entries: by how many the table has grown; below 0 if it has shrunk.
    """

    seconds: float
    counted: Statistics
    entries: int


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was found out of a table.

    Args:
        entries: what is in it.
        facts: what is known of it besides; None of a saved table.
        rates: what happened while it was watched; None if it was not.
        lines: what else there was in a saved table; None of a live one.
        is_sample: whether reading ended early, because so many entries were wanted.
        is_late: whether it ended early, because the time was over.
    """

    entries: TableStatistics
    facts: TableFacts | None = None
    rates: Rates | None = None
    lines: Lines | None = None
    is_sample: bool = False
    is_late: bool = False

    @property
    def uncertainty(self) -> float | None:
        """By how much a share may be wrong because not all entries were read (95 % confidence); None if all were.

        The entries that were read are as good as drawn at random without putting back, so this is the normal
        approximation for a share of one half, with the correction for a finite table.
        """
        read = self.entries.total.entries
        if not (self.is_sample or self.is_late) or not read:
            return None
        all_entries = max(self.facts.entries or read, read) if self.facts else read
        unread = (all_entries - read) / max(all_entries - 1, 1)
        return _NORMAL_95 * sqrt(0.25 / read * unread)


def survey_live(
    table: RowSource,
    door: ConntrackFacts,
    number: int,
    sample: int | None = None,
    deadline: float | None = None,
    interval: float | None = None,
) -> Survey:
    """A live table.

    Args:
        table: its entries.
        door: what is known of it besides.
        number: how many of what is most frequent are wanted.
        sample: read only so many entries; None for all.
        deadline: seconds after which reading entries ends, wherever it is; None for never.
        interval: seconds to watch it for; None not to.
    """
    facts, rates = _watched(door, interval)
    tally = Tally(address_name, port_name)
    began = door.seconds()
    if facts.is_loaded:
        for rows in table.rows(sample, deadline):
            tally.add(rows)
    has_ended_early = sample is not None and tally.entries >= sample and (facts.entries or 0) > sample
    is_late = not has_ended_early and deadline is not None and door.seconds() - began > deadline
    return Survey(tally.told(number), facts, rates, is_sample=has_ended_early, is_late=is_late)


def _watched(door: ConntrackFacts, interval: float | None) -> tuple[TableFacts, Rates | None]:
    before, began = door.facts(), door.seconds()
    if interval is None or before.statistics is None:
        return before, None
    door.wait(interval)
    after, ended = door.facts(), door.seconds()
    counted = (after.statistics or Statistics()) - before.statistics
    return after, Rates(ended - began, counted, (after.entries or 0) - (before.entries or 0))


def survey_saved(stream: Stream, number: int) -> Survey:
    """A saved table.

    Args:
        stream: its text.
        number: how many of what is most frequent are wanted.
    """
    tally, lines = Tally(), Lines()
    tally_entries(stream, tally, lines)
    return Survey(tally.told(number), lines=lines)


def survey_shares(parts: Sequence[tuple[Tally, Lines]], number: int) -> Survey:
    """A saved table of which each part was counted by itself.

    Args:
        parts: what was counted, in the order of the lines; the first takes in the others.
        number: how many of what is most frequent are wanted.
    """
    (tally, lines), *rest = parts
    for other, its_lines in rest:
        tally.merge(other)
        lines.follow(its_lines)
    return Survey(tally.told(number), lines=lines)
