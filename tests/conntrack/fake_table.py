"""A conntrack table in memory, whose clock goes on with each entry that is read, and that can be meddled with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ctpolicy.conntrack.entry import Entry
from ctpolicy.conntrack.table import Deleted


class FakeTable:
    """See table.ConntrackTable.

    Args:
        entries: what is in it.
        seconds_an_entry: how far the clock goes for each entry that is read.
        meddle: is called before each deletion with what is in the table, and may change it.
        is_stubborn: whether what is deleted comes again.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        seconds_an_entry: float = 0.0,
        meddle: Callable[[list[Entry]], None] = lambda _: None,
        is_stubborn: bool = False,
    ) -> None:
        self.there = list(entries)
        self.readings = 0
        self._now = 1000.0
        self._seconds = seconds_an_entry
        self._meddle = meddle
        self._is_stubborn = is_stubborn

    def entries(self) -> Iterator[Entry]:
        self.readings += 1
        for entry in list(self.there):
            self._now += self._seconds
            yield entry

    def delete(self, entries: Sequence[Entry]) -> Deleted:
        self._meddle(self.there)
        found = {*entries} & {*self.there}
        if not self._is_stubborn:
            self.there = [entry for entry in self.there if entry not in found]
        return Deleted(len(found), len(entries) - len(found))

    def seconds(self) -> float:
        return self._now
