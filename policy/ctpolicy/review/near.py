"""Where two policies can leave packets alone otherwise than each other: within the entries that only one of them has.

A packet that no such entry covers is covered by the same entries of both, so it does not change. So spaces of thousands
of entries need to be known within those few alone. That is not only quicker: 2,000 services and clients with peers of
their own have no small diagram at all (packetspace/universe.py), and what one more of them changes has.

Where is said by a few boxes that hold at least the legs of these entries, joined where they ask the same fields: a
service's legs name a destination port or a source port, and joined across that they would be every port.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ctpolicy.language.policy import ANY_PORT, Entry, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import entries_space, leg_box
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field
from ctpolicy.review.turns import differing

MOST_BOXES: Final = 64
"""To look in; more cost more than they save."""

_JOINED: Final = (Field.DESTINATION_PORT, Field.SOURCE_PORT, Field.SOURCE, Field.DESTINATION, Field.INTERFACE)


@dataclass(frozen=True, slots=True)
class Near:
    """Where two policies may differ.

    Args:
        boxes: together they hold every packet that may change; None if it may be anywhere.
    """

    boxes: tuple[Box, ...] | None

    @classmethod
    def of(cls, one: Policy, other: Policy) -> Near:
        """Where entries are that only one of two policies has."""
        only = [
            *(differing(one.bypass, other.bypass) + differing(other.bypass, one.bypass)),
            *(differing(one.track, other.track) + differing(other.track, one.track)),
        ]
        if 2 * len(only) > sum(len(policy.bypass) + len(policy.track) for policy in (one, other)):
            return cls(None)
        boxes = _joined(leg for entry in only for leg in legs(entry))
        return cls(boxes if len(boxes) <= MOST_BOXES else None)

    def space(self, entries: Iterable[Entry]) -> PacketSpace:
        """The packets that entries cover, of those that may change, and perhaps others that they cover."""
        if self.boxes is None:
            return entries_space(entries)
        by_path: dict[tuple[IntervalSet, IntervalSet], list[Box]] = {}
        for box in self.boxes:
            by_path.setdefault((box[Field.PATH], box[Field.FAMILY]), []).append(box)
        return PacketSpace.of_boxes(
            part
            for entry in entries
            for leg in map(leg_box, legs(entry))
            for near in by_path.get((leg[Field.PATH], leg[Field.FAMILY]), ())
            if (part := _both(leg, near)) is not None
        )


def _joined(found: Iterable[Leg]) -> tuple[Box, ...]:
    """Few boxes that hold all of these legs."""
    alike: dict[tuple[object, ...], list[Box]] = {}
    for leg in found:
        asked = (leg.destination_ports == ANY_PORT, leg.source_ports == ANY_PORT, leg.interfaces)
        alike.setdefault((leg.path, leg.family, leg.protocol, *asked), []).append(leg_box(leg))
    return tuple(_hull(boxes) for boxes in alike.values())


def _hull(boxes: list[Box]) -> Box:
    wide = {
        field: IntervalSet.of(interval for values in {box[field] for box in boxes} for interval in values)
        for field in _JOINED
    }
    return {**boxes[0], **wide}


def _both(one: Box, other: Box) -> Box | None:
    """What two boxes have in common; None if that is nothing."""
    part = dict(one)
    for field, values in other.items():
        mine = part.get(field)
        if mine is None or mine == values:
            part[field] = values
        elif not (shared := mine & values):
            return None
        else:
            part[field] = shared
    return part
