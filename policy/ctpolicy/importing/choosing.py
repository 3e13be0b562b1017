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
from itertools import chain
from typing import Final

from ctpolicy.importing.candidates import kinds, matches
from ctpolicy.importing.many import many_services
from ctpolicy.language.policy import (
    ANY_PORT,
    Entry,
    Forward,
    HostClient,
    HostService,
    Match,
    Overlay,
    Ports,
    ProtocolBox,
    ProtocolPorts,
)
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

Around = Callable[[Box], Iterator[Entry]]
"""Entries of a box that may hold more than the box."""

_RANKS: Final = (HostService, HostClient, Forward, Ports, Overlay, Match)
"""Of those that hold the same, what people would write; an overlay's preset comes before all of them."""


def choose(
    target: PacketSpace,
    allowed: PacketSpace,
    *,
    around: Around | None = None,
    narrow: Callable[[Box], Box] = lambda box: box,
    harmless: PacketSpace | None = None,
) -> list[Entry]:
    """Entries that hold the target and nothing that is not allowed.

    Args:
        target: what has to be held. Where the language cannot say it, the entries hold less.
        allowed: what may be held besides; the target is in it.
        around: makes entries of a box that cannot be said exactly; they may hold more than is allowed.
        narrow: makes a box say less, though it holds as much of the target.
        harmless: what entries of the kinds may hold, which else is what is allowed, and those around a box, which else
            is anything. A tracked service is a service, though one direction of it would be tracked without it too.
    """
    anything = PacketSpace.all() if harmless is None else harmless
    harmless = allowed if harmless is None else harmless
    chosen, left = many_services(target, harmless)
    for _ in range(MOST_ROUNDS):
        boxes = [narrow(box) for box in left.cover(allowed, BOXES_A_ROUND).boxes]
        before = left
        for proposed in (_whole_flows, _spelled_out):
            found, left = _greedily(proposed(boxes), left, allowed, harmless)
            chosen += found
        if around and left == before:
            found, left = _greedily(chain.from_iterable(map(around, boxes)), left, anything, harmless)
            chosen += found
        if left == before:
            break
    return chosen


def _whole_flows(boxes: Iterable[Box]) -> Iterator[Entry]:
    return (entry for box in boxes for entry in (*kinds(box), *matches(box, both_ways=True)))


def _spelled_out(boxes: Iterable[Box]) -> Iterator[Entry]:
    return (entry for box in boxes for entry in matches(box))


def _greedily(
    proposed: Iterable[Entry], target: PacketSpace, allowed: PacketSpace, harmless: PacketSpace
) -> tuple[list[Entry], PacketSpace]:
    """The candidates that are allowed and hold something of the target, largest first, and what none of them holds."""
    heap: list[tuple[int, int, int, Entry, PacketSpace]] = []
    for number, entry in enumerate(dict.fromkeys(proposed)):
        space = entries_space([entry])
        if space and space <= (allowed if isinstance(entry, Match) else harmless):
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
    """The entry without services, or boxes of a match, that hold nothing of what is left."""
    if isinstance(entry, Overlay):
        return entry
    parts = list(_parts(entry))
    kept = [part for part in parts if entries_space([part]) & left]
    if len(kept) == len(parts):
        return entry
    if isinstance(entry, Match):
        return replace(entry, boxes=_joined(box for part in kept if isinstance(part, Match) for box in part.boxes))
    return replace(entry, services=merged(s for part in kept for s in getattr(part, "services", ())))


def _parts(entry: HostService | HostClient | Forward | Ports | Match) -> Iterator[Entry]:
    """The entry for each interval of its ports; of a match, of its destination ports, or else of its source ports."""
    if not isinstance(entry, Match):
        for service in entry.services:
            for ports in service.ports:
                yield replace(entry, services=(ProtocolPorts(service.protocol, IntervalSet((ports,))),))
        return
    for box in entry.boxes:
        if box.destination_ports == ANY_PORT:
            each = [replace(box, source_ports=IntervalSet((ports,))) for ports in box.source_ports]
        else:
            each = [replace(box, destination_ports=IntervalSet((ports,))) for ports in box.destination_ports]
        yield from (replace(entry, boxes=(one,)) for one in each)


def _joined(boxes: Iterable[ProtocolBox]) -> tuple[ProtocolBox, ...]:
    """Boxes of one protocol, which differ in the ports of one end alone, as one."""
    found: dict[int | None, ProtocolBox] = {}
    for box in boxes:
        same = found.get(box.protocol, box)
        found[box.protocol] = replace(
            box,
            source_ports=same.source_ports | box.source_ports,
            destination_ports=same.destination_ports | box.destination_ports,
        )
    return tuple(found.values())


def _rank(entry: Entry) -> int:
    if isinstance(entry, Overlay) and entry.tunnel in PRESETS.values():
        return -1
    return _RANKS.index(type(entry))
