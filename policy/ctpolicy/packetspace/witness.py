"""One point of a set, as ordinary a packet as there is in it: a witness that people recognise at once.

Where there is a choice: path in, ipv4, udp, no interface, ports above those of services, addresses that are kept for
documentation (RFC 5737, RFC 3849). The walk takes what it likes best at each level; every branch but the empty one
leads to a point, so it turns back only where an interval of interfaces' bytes holds no name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.interface_values import interface_name, names_within
from ctpolicy.packetspace.intervals import Interval
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.sets import NOTHING
from ctpolicy.packetspace.universe import FAMILIES, FOREST, PATHS, Field


def _networks(*texts: str) -> tuple[Interval, ...]:
    """The addresses in networks but for their first, which names the network."""
    networks = [ip_network(text) for text in texts]
    return tuple((int(network.network_address) + 1, int(network.broadcast_address)) for network in networks)


_PROTOCOLS: Final = tuple((PROTOCOL_NUMBERS[name],) * 2 for name in ("udp", "tcp", "sctp", "gre", "icmp", "icmpv6"))
_PORTS: Final = ((40_000, 60_999), (1_024, 65_535), (1, 1_023))
_ADDRESSES: Final = (Field.SOURCE, Field.DESTINATION)
_UNICAST: Final = {
    Family.IPV4: _networks("203.0.113.0/24", "192.168.0.0/16", "10.0.0.0/8", "128.0.0.0/2", "0.0.0.0/1"),
    Family.IPV6: _networks("2001:db8::/32", "fd00::/8", "2000::/3", "::/1"),
}
_SOURCES: Final = {
    Family.IPV4: _networks("198.51.100.0/24", "192.0.2.0/24") + _UNICAST[Family.IPV4],
    Family.IPV6: _networks("2001:db8:1::/48") + _UNICAST[Family.IPV6],
}
_DESTINATIONS: Final = {
    Family.IPV4: _networks("192.0.2.0/24", "198.51.100.0/24") + _UNICAST[Family.IPV4],
    Family.IPV6: _UNICAST[Family.IPV6],
}


def ordinary_packet(root: Node) -> Packet | None:
    """A packet of a set of real packets; None if it holds none, or only integers between the names of interfaces."""
    point = _search(root, ())
    return None if point is None else packet_at(point)


def some_point(root: Node) -> tuple[int, ...]:
    """The values of an ordinary packet of a set, or, if no name is in it, of what stands between the names.

    Raises:
        ValueError: the set is empty.
    """
    point = _search(root, ()) or _search(root, (), only_names=False)
    if point is None:
        raise ValueError("nothing is in the empty set")
    return point


def packet_at(point: Sequence[int]) -> Packet:
    """The packet whose fields have these values."""
    address = IPv4Address if FAMILIES[point[Field.FAMILY]] is Family.IPV4 else IPv6Address
    has_ports = point[Field.PROTOCOL] in PROTOCOLS_WITH_PORTS
    return Packet(
        PATHS[point[Field.PATH]],
        point[Field.PROTOCOL],
        address(point[Field.SOURCE]),
        address(point[Field.DESTINATION]),
        point[Field.SOURCE_PORT] if has_ports else None,
        point[Field.DESTINATION_PORT] if has_ports else None,
        interface_name(point[Field.INTERFACE]),
    )


def _search(node: Node, chosen: tuple[int, ...], only_names: bool = True) -> tuple[int, ...] | None:
    """The chosen values of the first fields, and those of the fields that are left."""
    if node is NOTHING or len(chosen) == len(Field):
        return None if node is NOTHING else chosen
    for value, child in _by_preference(node, Field(len(chosen)), chosen, only_names):
        found = _search(child, (*chosen, value), only_names)
        if found is not None:
            return found
    return None


def _by_preference(node: Node, field: Field, chosen: tuple[int, ...], only_names: bool) -> Iterator[tuple[int, Node]]:
    for wanted in (*preferred_values(field, chosen), (0, FOREST.largest[field])):
        for (first, last), child in branches_within(node, field, wanted):
            if child is NOTHING:
                continue
            if field is Field.INTERFACE and only_names:
                yield from ((value, child) for value in names_within(first, last))
            else:
                yield _not_a_network(first, last) if field in _ADDRESSES else first, child


def _not_a_network(first: int, last: int) -> int:
    """The first address, or the second where the first ends in zero: that names a network more often than a host."""
    return first + (first % 256 == 0 and first < last)


def preferred_values(field: Field, chosen: tuple[int, ...]) -> tuple[Interval, ...]:
    """The values of a field that are ordinary, the best first; the fields before it have been chosen."""
    match field:
        case Field.PROTOCOL:
            return _PROTOCOLS
        case Field.INTERFACE:
            return ((0, 0),)
        case Field.SOURCE_PORT | Field.DESTINATION_PORT:
            return _PORTS
        case Field.SOURCE:
            return _SOURCES[FAMILIES[chosen[Field.FAMILY]]]
        case Field.DESTINATION:
            return _DESTINATIONS[FAMILIES[chosen[Field.FAMILY]]]
    return ()


def branches_within(node: Node, field: Field, within: Interval) -> Iterator[tuple[Interval, Node]]:
    """Where a node leads for the values in an interval of a field; if it does not ask it, to itself."""
    if node.level > field:
        yield within, node
        return
    first, last = within
    for at in range(bisect_left(node.ends, first), len(node.ends)):
        yield (first, min(node.ends[at], last)), node.children[at]
        first = node.ends[at] + 1
        if first > last:
            return
