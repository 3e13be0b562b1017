"""Some entries of a conntrack table, at a bounded cost however large it is; and how many are new since the last time.

The kernel does not count new entries: the column `new` of its statistics has been 0 since Linux 4.9, and to listen to
its events costs a busy host most where it can bear least. So new entries are those of a sample that were not in the
sample before. Of a large table that sample is the first entries that a dump tells. A dump goes through the hash table
bucket by bucket, and which bucket an entry lies in is as good as chance: so these are a fair sample of all entries, and
the next sample's lie in nearly the same buckets. Those up to the last entry that both samples have lie in exactly the
same ones, and only these are compared.

What is made and goes again between two samples is not seen; but no default timeout is shorter than 10 seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.conntrack.entry import Tuple
from ctpolicy.conntrack.table import ConntrackTable
from ctpolicy.packetspace.fields import Family

MOST: Final = 20_000
"""Entries of a sample; to look at them takes 0.2 s (Linux 6.18, Python 3.11)."""

SECONDS: Final = 0.5
"""To look at them, if the host is too busy for all."""

_UNTIL_THE_CLOCK_IS_LOOKED_AT: Final = 500

Key = tuple[int | None, Tuple]
"""What tells an entry from every other, also from one that comes in its place: its id and original direction."""

Source = tuple[Family, int]


@dataclass(frozen=True, slots=True)
class Sample:
    """Some entries of a table.

    Args:
        keys: of the entries, in the order in which the kernel told them.
        sources: how many of them each source address has begun.
        is_whole: whether these are all that there are.
    """

    keys: tuple[Key, ...] = ()
    sources: Mapping[Source, int] = field(default_factory=dict)
    is_whole: bool = True

    def new_since(self, before: Sample) -> float | None:
        """The share of its entries that were not there before, 0 to 1; None if the two have nothing to compare."""
        old = set(before.keys)
        if before.is_whole and self.is_whole:
            compared = self.keys
        else:
            last = next((at for at in range(len(self.keys) - 1, -1, -1) if self.keys[at] in old), None)
            if last is None:
                return None
            compared = self.keys[: last + 1]
        return sum(key not in old for key in compared) / len(compared) if compared else 0.0


def take_sample(table: ConntrackTable, most: int = MOST, seconds: float = SECONDS) -> Sample:
    """Look at the first entries of a table, as many as are wanted, or as the time allows.

    Raises:
        HostError: they cannot be read.
        DeadlineError: no answer in time.
    """
    until = table.seconds() + seconds
    keys: list[Key] = []
    sources: Counter[Source] = Counter()
    is_whole = True
    for entry in table.entries():
        is_time_to_look = len(keys) % _UNTIL_THE_CLOCK_IS_LOOKED_AT == 0
        if len(keys) == most or (is_time_to_look and table.seconds() > until):
            is_whole = False
            break
        keys.append((entry.id, entry.original))
        sources[entry.family, entry.original.source] += 1
    return Sample(tuple(keys), sources, is_whole)
