"""Sets of unsigned integers, kept as the fewest intervals that cover them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Interval = tuple[int, int]
"""First and last member, both included."""


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """A set of unsigned integers: sorted intervals that neither overlap nor touch, so that equal sets are equal.

    Build it with `of`, `single` or `full`; the constructor trusts its argument.
    """

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> IntervalSet:
        """The union of intervals, in any order, overlapping or not."""
        merged: list[Interval] = []
        for first, last in sorted(intervals):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    @classmethod
    def single(cls, value: int) -> IntervalSet:
        """The set of one value."""
        return cls(((value, value),))

    @classmethod
    def full(cls, bits: int) -> IntervalSet:
        """Every value of a field that is `bits` wide."""
        return cls(((0, (1 << bits) - 1),))

    def __hash__(self) -> int:
        # Sets of 100,000 intervals are hashed over and over as parts of boxes; their ends tell them apart well enough.
        return hash((len(self.intervals), self.intervals[:1], self.intervals[-1:]))

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def __len__(self) -> int:
        """The number of intervals, which is what a set costs; not of members."""
        return len(self.intervals)

    def __contains__(self, value: int) -> bool:
        at = bisect_right(self.intervals, value, key=lambda interval: interval[0])
        return at > 0 and value <= self.intervals[at - 1][1]

    def meets(self, interval: Interval) -> bool:
        """Whether the set has a value in an interval."""
        at = bisect_right(self.intervals, interval[1], key=lambda own: own[0])
        return at > 0 and interval[0] <= self.intervals[at - 1][1]

    def __or__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet.of(self.intervals + other.intervals)

    def __and__(self, other: IntervalSet) -> IntervalSet:
        shared: list[Interval] = []
        mine, theirs = 0, 0
        while mine < len(self.intervals) and theirs < len(other.intervals):
            (first, last), (other_first, other_last) = self.intervals[mine], other.intervals[theirs]
            if max(first, other_first) <= min(last, other_last):
                shared.append((max(first, other_first), min(last, other_last)))
            if last < other_last:
                mine += 1
            else:
                theirs += 1
        return IntervalSet(tuple(shared))

    def complement(self, bits: int) -> IntervalSet:
        """Every value of a field that is `bits` wide and not in the set."""
        after, left = 0, []
        for first, last in self.intervals:
            if first > after:
                left.append((after, first - 1))
            after = last + 1
        if after < 1 << bits:
            left.append((after, (1 << bits) - 1))
        return IntervalSet(tuple(left))


def prefix_length(interval: Interval, bits: int) -> int | None:
    """The length of the prefix that is exactly this interval of `bits`-wide values, or None if there is none."""
    first, last = interval
    size = last - first + 1
    if size & (size - 1) or first & (size - 1):
        return None
    return bits - (size.bit_length() - 1)
