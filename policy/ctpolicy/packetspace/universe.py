"""The fields of a packet as levels of a diagram, their values as integers, and which of those a host can meet.

Fields are asked in the order of `Field`. What tells most rules apart comes first. A port is followed by the address
that rules name together with it: a service by its port and its clients' source, an answer by its source port and where
it goes. So `destination port 1 from A, or 2 from B, ..., or source port 1 to A, or 2 to B, ...` is as long as it is
written: wherever the first half fails, the second half follows, and that is one shared node. With both ports before
both addresses every pair of a destination port and a source port would have a node of its own.

No order is good for every set. This one is quadratic where, on one path, thousands of destination ports have a list
of destinations each, or thousands of source ports a list of sources, beside thousands of the other kind. So are host
services and host clients that each have peers of their own (500 and 500 take 5 s to build, 1,000 and 1,000 20 s), and
forwards that each have servers of their own (500 take 1.5 s, 1,000 7 s). Lists that entries share do not have that.

Only real packets are in any set: what `Packet` refuses (a port of gre, `lo` on path in) is outside of all of them. But
interfaces are integers (interface_values.py), of which some are no name, and those count as interfaces here: sets that
differ in nothing else are told apart. No two sets of names and patterns that people write are like that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ctpolicy.packetspace.diagram import Forest
from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, LOOPBACK, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.sets import intersection, union_of_boxes


class Field(IntEnum):
    """The fields of a packet, in the order in which they are asked."""

    PATH = 0
    FAMILY = 1
    PROTOCOL = 2
    INTERFACE = 3
    DESTINATION_PORT = 4
    SOURCE = 5
    SOURCE_PORT = 6
    DESTINATION = 7


Box = Mapping[Field, IntervalSet]
"""The packets whose fields are in these sets; a field that is not there may be anything."""

FOREST: Final = Forest((2, 1, 8, INTERFACE_BITS, 16, 128, 16, 128))

PATHS: Final = tuple(Path)
FAMILIES: Final = tuple(Family)


def path_set(*paths: Path) -> IntervalSet:
    """Paths as values of their field."""
    return IntervalSet.of((PATHS.index(path), PATHS.index(path)) for path in paths)


def family_set(*families: Family) -> IntervalSet:
    """Families as values of their field."""
    return IntervalSet.of((FAMILIES.index(family), FAMILIES.index(family)) for family in families)


def packet_values(packet: Packet) -> tuple[int, ...]:
    """A packet as the value of each field."""
    return (
        PATHS.index(packet.path),
        FAMILIES.index(packet.family),
        packet.protocol,
        interface_value(packet.interface),
        packet.destination_port or 0,
        int(packet.source),
        packet.source_port or 0,
        int(packet.destination),
    )


def _on_their_way() -> Iterator[Box]:
    lo = IntervalSet.single(interface_value(LOOPBACK))
    yield {Field.PATH: path_set(Path.IN, Path.FORWARD), Field.INTERFACE: lo.complement(INTERFACE_BITS)}
    # What this host sends to a loopback address leaves through `lo`, so the packet says so.
    out, named = path_set(Path.OUT), IntervalSet.single(0).complement(INTERFACE_BITS)
    loopback = {
        Family.IPV4: IntervalSet(((int(IPv4Address("127.0.0.0")), int(IPv4Address("127.255.255.255"))),)),
        Family.IPV6: IntervalSet.single(int(IPv6Address("::1"))),
    }
    yield {Field.PATH: out, Field.INTERFACE: named}
    for family, addresses in loopback.items():
        elsewhere = addresses.complement(Family.IPV6.bits)
        yield {Field.PATH: out, Field.FAMILY: family_set(family), Field.DESTINATION: elsewhere}


def _of_their_family() -> Iterator[Box]:
    addresses = IntervalSet.full(Family.IPV4.bits)
    yield {Field.FAMILY: family_set(Family.IPV4), Field.DESTINATION: addresses, Field.SOURCE: addresses}
    headers = IntervalSet.of((number, number) for number in IPV6_EXTENSION_HEADERS)
    yield {Field.FAMILY: family_set(Family.IPV6), Field.PROTOCOL: headers.complement(8)}


def _with_their_ports() -> Iterator[Box]:
    with_ports = IntervalSet.of((number, number) for number in PROTOCOLS_WITH_PORTS)
    no_port = IntervalSet.single(0)
    yield {Field.PROTOCOL: with_ports}
    yield {Field.PROTOCOL: with_ports.complement(8), Field.DESTINATION_PORT: no_port, Field.SOURCE_PORT: no_port}


REAL_PACKETS: Final = intersection(
    FOREST,
    union_of_boxes(FOREST, _on_their_way()),
    intersection(FOREST, union_of_boxes(FOREST, _of_their_family()), union_of_boxes(FOREST, _with_their_ports())),
)
"""Every packet that a host can meet: the universe of all spaces."""
