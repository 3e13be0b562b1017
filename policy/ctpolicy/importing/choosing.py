"""Entries that together hold a set of packets, chosen greedily from candidates.

The largest is taken first: what holds most of what is still left. That is within a factor of ln(n) of the fewest
(Chvatal, A Greedy Heuristic for the Set-Covering Problem, 1979), and what people write is far from the worst case.
What a candidate holds of the rest only shrinks, so the one on top of a heap is measured anew and put back unless it
is still the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from heapq import heappop, heappush
from typing import Final

from ctpolicy.importing.candidates import kinds, matches
from ctpolicy.language.policy import Entry, Forward, HostClient, HostService, Match, Overlay, Ports, ProtocolPorts
from ctpolicy.language.ports import merged
from ctpolicy.language.presets import PRESETS
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box

BOXES_A_ROUND: Final = 100
"""Boxes that candidates are made of at once. Whole flows take much away from what the next round has to look at."""

MOST_ROUNDS: Final = 40
"""A policy of more entries than these rounds find is not what a person would go on with."""

_RANKS: Final = (HostService, HostClient, Forward, Ports, Overlay, Match)
"""Of those that hold the same, what people would write; an overlay's preset comes before all of them."""


def choose(
    target: PacketSpace,
    allowed: PacketSpace,
    *,
    widely: bool,
    narrow: Callable[[Box], Box] = lambda box: box,
    harmless: PacketSpace | None = None,
) -> list[Entry]:
    """Entries that hold the target and nothing that is not allowed.

    Args:
        target: what has to be held. Where the language cannot say it, the entries hold less.
        allowed: what may be held besides; the target is in it.
        widely: whether what cannot be said exactly is held by an entry that holds more than is allowed.
        narrow: makes a box say less, though it holds as much of the target.
        harmless: what whole flows may hold; that is what is allowed, if not given. A tracked service is a service,
            though one direction of it would be tracked without it too.
    """
    harmless = allowed if harmless is None else harmless
    chosen: list[Entry] = []
    left = target
    for _ in range(MOST_ROUNDS):
        boxes = [narrow(box) for box in left.cover(allowed, BOXES_A_ROUND).boxes]
        before = left
        for proposed, may_hold in ((_whole_flows, harmless), (_spelled_out, allowed)):
            found, left = _greedily(proposed(boxes), left, may_hold)
            chosen += found
        if widely and left == before:
            found, left = _greedily(_around(boxes), left, PacketSpace.all())
            chosen += found
        if left == before:
            break
    return chosen


def _whole_flows(boxes: Iterable[Box]) -> Iterator[Entry]:
    return (entry for box in boxes for entry in (*kinds(box), *matches(box, both_ways=True)))


def _spelled_out(boxes: Iterable[Box]) -> Iterator[Entry]:
    return (entry for box in boxes for entry in matches(box))


def _around(boxes: Iterable[Box]) -> Iterator[Entry]:
    return (entry for box in boxes for entry in matches(box, widely=True))


def _greedily(proposed: Iterable[Entry], target: PacketSpace, allowed: PacketSpace) -> tuple[list[Entry], PacketSpace]:
    """The candidates that are allowed and hold something of the target, largest first, and what none of them holds."""
    heap: list[tuple[int, int, int, Entry, PacketSpace]] = []
    for number, entry in enumerate(dict.fromkeys(proposed)):
        space = entries_space([entry])
        if space and space <= allowed:
            heappush(heap, (-(space & target).count(), _rank(entry), number, entry, space))
    chosen: list[Entry] = []
    left = target
    while heap and left:
        _, rank, number, entry, space = heappop(heap)
        gain = (space & left).count()
        if not gain:
            continue
        if heap and (-gain, rank, number) > heap[0][:3]:
            heappush(heap, (-gain, rank, number, entry, space))
            continue
        chosen.append(_trimmed(entry, left))
        left = left - space
    return chosen, left


def _trimmed(entry: Entry, left: PacketSpace) -> Entry:
    """The entry without services that hold nothing of what is left."""
    if isinstance(entry, Overlay | Match):
        return entry
    each = [ProtocolPorts(s.protocol, IntervalSet((ports,))) for s in entry.services for ports in s.ports]
    if len(each) == 1:
        return entry
    kept = [service for service in each if entries_space([replace(entry, services=(service,))]) & left]
    return entry if len(kept) == len(each) else replace(entry, services=merged(kept))


def _rank(entry: Entry) -> int:
    if isinstance(entry, Overlay) and entry.tunnel in PRESETS.values():
        return -1
    return _RANKS.index(type(entry))
