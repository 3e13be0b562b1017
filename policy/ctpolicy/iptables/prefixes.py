"""Intervals as prefixes: blocks whose length is a power of two and which begin at a multiple of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from ctpolicy.packetspace.intervals import Interval, IntervalSet


def prefixes(values: IntervalSet, bits: int) -> Iterator[Interval]:
    """The fewest prefixes that make up a set, in order. A range of n-bit values takes at most 2n - 2."""
    for first, last in values:
        while first <= last:
            aligned = (first & -first).bit_length() - 1 if first else bits
            fitting = (last - first + 1).bit_length() - 1
            size = 1 << min(aligned, fitting)
            yield first, first + size - 1
            first += size


def is_prefix(interval: Interval) -> bool:
    """Whether an interval is one."""
    first, last = interval
    size = last - first + 1
    return size & (size - 1) == 0 and first % size == 0


def block_around(values: IntervalSet) -> Interval:
    """The smallest prefix that holds a set, which is not empty."""
    first, last = values.intervals[0][0], values.intervals[-1][1]
    length = (first ^ last).bit_length()
    return first >> length << length, (last >> length << length) + (1 << length) - 1


def within(values: IntervalSet, block: Interval) -> IntervalSet:
    """The part of a set that is in a block."""
    first, last = block
    begin = bisect_left(values.intervals, first, key=lambda interval: interval[1])
    end = bisect_right(values.intervals, last, key=lambda interval: interval[0])
    return IntervalSet(tuple((max(a, first), min(b, last)) for a, b in values.intervals[begin:end]))
