"""Entries that may be what somebody meant by a box of packets: what a box says of one direction, in each role.

Nothing here knows whether the other direction is bypassed too; who asks for candidates finds that out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.importing.interfaces import exact_interfaces, hull
from ctpolicy.language.policy import (
    ANY_PORT,
    EVERY_PATH,
    Addresses,
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
from ctpolicy.packetspace.fields import LOOPBACK, PROTOCOL_NAMES, PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import FAMILIES, PATHS, Box, Field

UNNAMED: Final = ""
"""The name of a candidate; the chosen ones are given names of their own."""

MOST_PORTS: Final = 16
"""Intervals of ports of one box that are tried each for itself."""

MOST_PROTOCOLS: Final = 16
"""Protocols of one box that make it services; a box of more is a `match`."""

_NONE: Final = IntervalSet()


class BoxFields:
    """A box as the values of the language."""

    def __init__(self, box: Box) -> None:
        paths = box.get(Field.PATH)
        self.paths = frozenset(path for value, path in enumerate(PATHS) if paths is None or value in paths)
        families = box.get(Field.FAMILY)
        self.families = frozenset(f for value, f in enumerate(FAMILIES) if families is None or value in families)
        self.source = self._addresses(box.get(Field.SOURCE))
        self.destination = self._addresses(box.get(Field.DESTINATION))
        self.source_ports = box.get(Field.SOURCE_PORT, ANY_PORT)
        self.destination_ports = box.get(Field.DESTINATION_PORT, ANY_PORT)
        self.interface_values = box.get(Field.INTERFACE, IntervalSet.full(INTERFACE_BITS))
        self.protocols: tuple[int, ...] | None = None
        if Field.PROTOCOL in box:
            self.protocols = tuple(p for first, last in box[Field.PROTOCOL] for p in range(first, last + 1))

    def _addresses(self, values: IntervalSet | None) -> Addresses:
        def of(family: Family) -> IntervalSet:
            if family not in self.families:
                return _NONE
            whole = IntervalSet.full(family.bits)
            return whole if values is None else values & whole

        return Addresses(of(Family.IPV4), of(Family.IPV6))


def kinds(box: Box) -> Iterator[Entry]:
    """Entries of the kinds that cover whole flows, of which the box may be one direction."""
    fields = BoxFields(box)
    interfaces = exact_interfaces(fields.interface_values)
    protocols = fields.protocols
    if interfaces is None or protocols is None or len(protocols) > MOST_PROTOCOLS:
        return
    if fields.source_ports == ANY_PORT:
        for services in _services(protocols, fields.destination_ports):
            yield from _roles(fields, services, interfaces, fields.source, fields.destination, to_service=True)
    if fields.destination_ports == ANY_PORT:
        for services in _services(protocols, fields.source_ports):
            yield from _roles(fields, services, interfaces, fields.destination, fields.source, to_service=False)


def _services(protocols: tuple[int, ...], ports: IntervalSet) -> Iterator[tuple[ProtocolPorts, ...]]:
    """All ports of all protocols together, and each for itself. A protocol's ports have to be some, not all."""
    with_ports = [p for p in protocols if p in PROTOCOLS_WITH_PORTS and ports != ANY_PORT]
    without = [ProtocolPorts(p) for p in protocols if p not in PROTOCOLS_WITH_PORTS and 0 in ports]
    together = (*(ProtocolPorts(p, ports) for p in with_ports), *without)
    if together:
        yield tuple(sorted(together, key=lambda service: service.protocol))
    if len(together) > 1 or len(ports) > 1:
        yield from ((service,) for service in without)
        if len(ports) <= MOST_PORTS:
            for interval in ports:
                yield from ((ProtocolPorts(p, IntervalSet((interval,))),) for p in with_ports)


def _roles(
    fields: BoxFields,
    services: tuple[ProtocolPorts, ...],
    interfaces: Interfaces,
    clients: Addresses,
    servers: Addresses,
    *,
    to_service: bool,
) -> Iterator[Entry]:
    """What may be meant by packets between these ends, to the service or from it."""
    families = fields.families
    if to_service and len(services) == 1:
        for peers in dict.fromkeys((clients, servers)):
            yield from _overlays(services[0], peers, families, interfaces)
    if any(service.protocol not in PROTOCOL_NAMES for service in services):
        return  # services are named; a number alone would be read as a port
    for paths in (EVERY_PATH, frozenset({Path.IN, Path.OUT}), frozenset({Path.FORWARD})):
        yield Ports(name=UNNAMED, families=families, services=services, paths=paths, interfaces=interfaces)
    # A box on `lo` alone may be the last that is left of a service on every interface.
    everywhere = Interfaces() if interfaces.patterns == (LOOPBACK,) else interfaces
    if (Path.IN if to_service else Path.OUT) in fields.paths or everywhere != interfaces:
        yield HostService(
            name=UNNAMED, families=families, services=services, peers=clients, local=servers, interfaces=everywhere
        )
    if (Path.OUT if to_service else Path.IN) in fields.paths:
        yield HostClient(
            name=UNNAMED, families=families, services=services, peers=servers, local=clients, interfaces=interfaces
        )
    if Path.FORWARD in fields.paths:
        yield Forward(name=UNNAMED, families=families, services=services, clients=clients, servers=servers)


def _overlays(
    service: ProtocolPorts, peers: Addresses, families: frozenset[Family], interfaces: Interfaces
) -> Iterator[Entry]:
    if not _may_be_tunnel(service):
        return
    for paths in (EVERY_PATH, frozenset({Path.IN, Path.OUT})):
        yield Overlay(name=UNNAMED, families=families, tunnel=service, peers=peers, paths=paths, interfaces=interfaces)


def _may_be_tunnel(service: ProtocolPorts) -> bool:
    """Whether people tunnel by it: a protocol without ports, or one port of udp."""
    if service.protocol not in PROTOCOLS_WITH_PORTS:
        return True
    first, last = service.ports.intervals[0]
    return service.protocol == PROTOCOL_NUMBERS["udp"] and len(service.ports) == 1 and first == last


def matches(box: Box, *, both_ways: bool = False, widely: bool = False) -> Iterator[Match]:
    """The box spelled out: one match, or one for each protocol without ports.

    Args:
        box: of packets.
        both_ways: with the packets that answer.
        widely: of every protocol, where all but a few would be hundreds of entries.

    Where the language cannot say the box's interfaces, such as all but one, the match is of more than those.
    """
    fields = BoxFields(box)
    interfaces = hull(fields.interface_values)
    for boxes in _protocol_boxes(fields, widely):
        yield Match(
            name=UNNAMED,
            families=fields.families,
            boxes=boxes,
            source=fields.source,
            destination=fields.destination,
            paths=fields.paths,
            interfaces=interfaces,
            both_ways=both_ways,
        )


def _protocol_boxes(fields: BoxFields, widely: bool) -> Iterator[tuple[ProtocolBox, ...]]:
    source, destination = fields.source_ports, fields.destination_ports
    any_port = source == destination == ANY_PORT
    if any_port and (fields.protocols is None or (widely and len(fields.protocols) > 128)):
        yield (ProtocolBox(),)
        return
    protocols = range(256) if fields.protocols is None else fields.protocols
    with_ports = [p for p in protocols if p in PROTOCOLS_WITH_PORTS]
    if any_port:
        yield from ((ProtocolBox(p),) for p in with_ports)
    elif with_ports:
        yield tuple(ProtocolBox(p, source, destination) for p in with_ports)
    if 0 in source and 0 in destination:
        yield from ((ProtocolBox(p),) for p in protocols if p not in PROTOCOLS_WITH_PORTS)
