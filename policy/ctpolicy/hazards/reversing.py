"""The packets that answer a set of packets, and the ICMP errors about them.

The ends of a set are exchanged box by box, so there is a bound. Beyond it, packets of the same path and protocol are
taken for answers whatever their ends: too many, and whoever asks is told so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.routes import Route
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set

MOST_BOXES: Final = 20_000
"""Exchanged in a second."""

_BACK: Final = {Route.IN: Route.OUT, Route.OUT: Route.IN, Route.FORWARD: Route.FORWARD, Route.LOOPBACK: Route.LOOPBACK}
_PATHS: Final = {Route.IN: Path.IN, Route.OUT: Path.OUT, Route.FORWARD: Path.FORWARD, Route.LOOPBACK: Path.OUT}
_EXCHANGED: Final = {
    Field.SOURCE: Field.DESTINATION,
    Field.DESTINATION: Field.SOURCE,
    Field.SOURCE_PORT: Field.DESTINATION_PORT,
    Field.DESTINATION_PORT: Field.SOURCE_PORT,
}
_ICMP: Final = {Family.IPV4: "icmp", Family.IPV6: "icmpv6"}


@dataclass(frozen=True, slots=True)
class Answers:
    """Packets that go back.

    Args:
        space: the packets.
        route: theirs.
        is_exact: whether there are no others among them.
    """

    space: PacketSpace
    route: Route
    is_exact: bool


def reverse(space: PacketSpace, route: Route) -> Answers:
    """What answers packets of a route. A forwarded flow's answers come in by another interface: any."""
    boxes = space.branches(MOST_BOXES)
    is_exact = boxes is not None
    back = _BACK[route]
    found = (_reversed(box, route) for box in (_by_protocol(space) if boxes is None else boxes))
    return Answers(PacketSpace.of_boxes(found) & back.packets, back, is_exact)


def errors(space: PacketSpace, route: Route, family: Family) -> Answers:
    """ICMP errors about packets of a route: from any router, to their source."""
    of_family = space & PacketSpace.of_boxes([{Field.FAMILY: family_set(family)}])
    boxes = of_family.branches(MOST_BOXES)
    back = _BACK[route]
    icmp: Box = {
        Field.PATH: path_set(_PATHS[back]),
        Field.FAMILY: family_set(family),
        Field.PROTOCOL: IntervalSet.single(PROTOCOL_NUMBERS[_ICMP[family]]),
    }
    told = _by_protocol(of_family) if boxes is None else boxes
    found = ({**icmp, Field.DESTINATION: box[Field.SOURCE]} if Field.SOURCE in box else icmp for box in told)
    return Answers(PacketSpace.of_boxes(found) & back.packets, back, boxes is not None)


def _reversed(box: Box, route: Route) -> Box:
    found = {_EXCHANGED.get(field, field): values for field, values in box.items()}
    found[Field.PATH] = path_set(_PATHS[_BACK[route]])
    if route is Route.FORWARD:
        found.pop(Field.INTERFACE, None)
    return found


def _by_protocol(space: PacketSpace) -> Iterator[Box]:
    for family in Family:
        of_family = space & PacketSpace.of_boxes([{Field.FAMILY: family_set(family)}])
        if of_family:
            yield {Field.FAMILY: family_set(family), Field.PROTOCOL: of_family.values(Field.PROTOCOL)}
