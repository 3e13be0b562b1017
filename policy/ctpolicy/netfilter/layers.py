"""Interval partitioning: intervals into as few layers as possible, none overlapping another of its layer."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from ctpolicy.packetspace.intervals import Interval


def layers(intervals: Iterable[Interval]) -> list[list[Interval]]:
    """Partition intervals; the number of layers is the depth of the deepest overlap.

    In order of their beginnings, each interval goes to the first layer that has ended (Kleinberg and Tardos,
    Algorithm Design, section 4.1). O(n log n).
    """
    found: list[list[Interval]] = []
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    for first, last in sorted(intervals):
        while busy and busy[0][0] < first:
            heappush(free, heappop(busy)[1])
        layer = heappop(free) if free else len(found)
        if layer == len(found):
            found.append([])
        found[layer].append((first, last))
        heappush(busy, (last, layer))
    return found
