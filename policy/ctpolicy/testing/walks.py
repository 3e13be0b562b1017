"""Packets of a set, drawn by walking its diagram: none is refused, and a failing one shrinks to an ordinary one.

At each field the walk takes a branch that leads to a packet, and a value in its interval. Hypothesis shrinks towards
what is drawn first, so branches and values come in the order in which witnesses prefer them (packetspace/witness.py):
path in, ipv4, udp, addresses kept for documentation. The ends of intervals are drawn often, because that is where the
set begins and ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from hypothesis import strategies as st

from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.interface_values import interface_value, names_within
from ctpolicy.packetspace.intervals import Interval
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.sets import NOTHING
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FAMILIES, FOREST, Field
from ctpolicy.packetspace.witness import branches_within, packet_at, preferred_values
from ctpolicy.testing.entry_documents import INTERFACES

Branch = tuple[Interval, Node]

_NOTABLE: Final = {
    family: tuple(int(ip_address(text)) for text in texts)
    for family, texts in {
        Family.IPV4: ("10.0.0.1", "192.168.7.71", "172.30.0.10", "127.0.0.1", "224.0.0.1", "255.255.255.255"),
        Family.IPV6: ("fd00::1", "fd00:7::71", "::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1"),
    }.items()
}
"""Addresses that are treated unlike others somewhere between here and the wire."""

_NOTABLE_PORTS: Final = (22, 53, 80, 123, 443, 1023, 1024, 2152, 4789, 6443, 8472, 9100, 10250, 51820)

_NAMES: Final = tuple(interface_value(name) for name in ("", *INTERFACES, "lo"))

_SPREAD: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""2^128 divided by the golden ratio: multiples of it are spread evenly over any interval, so that small integers, which
Hypothesis draws best, stand for addresses from everywhere."""

_PREFERRED_BRANCHES: Final = 4
"""Of a node that has more: those that are taken half of the time."""


class Walks:
    """Ways through the diagram of a set to its packets. What was found out about its nodes is kept for the next."""

    def __init__(self, space: PacketSpace) -> None:
        self._root = space.root
        self._has_packet: dict[Node, bool] = {}
        self._branches: dict[tuple[Node, Field, tuple[int, ...]], list[Branch]] = {}
        if not self._lives(self._root):
            raise ValueError("there is no packet in the empty set")

    def packet(self, draw: st.DrawFn) -> Packet:
        """One packet."""
        chosen: tuple[int, ...] = ()
        node = self._root
        for field in Field:
            (first, last), node = self._branch(draw, node, field, chosen)
            chosen += (_value(draw, field, first, last, chosen),)
        return packet_at(chosen)

    def _branch(self, draw: st.DrawFn, node: Node, field: Field, chosen: tuple[int, ...]) -> Branch:
        known = node, field, chosen[Field.FAMILY : Field.FAMILY + 1]
        if known not in self._branches:
            self._branches[known] = self._by_preference(node, field, chosen)
        branches = self._branches[known]
        drawn = draw(st.integers(0, 2 * len(branches) - 1))
        return branches[drawn if drawn < len(branches) else drawn % min(len(branches), _PREFERRED_BRANCHES)]

    def _by_preference(self, node: Node, field: Field, chosen: tuple[int, ...]) -> list[Branch]:
        """Where a node leads to a packet, what is ordinary first."""
        wanted = preferred_values(field, chosen)

        def rank(branch: Branch) -> int:
            (first, last), _ = branch
            return next((at for at, (low, high) in enumerate(wanted) if first <= high and low <= last), len(wanted))

        leading = (one for one in _branches(node, field) if self._leads_on(one, field))
        return sorted(leading, key=rank)

    def _leads_on(self, branch: Branch, field: Field) -> bool:
        (first, last), child = branch
        is_named = field is not Field.INTERFACE or next(names_within(first, last), None) is not None
        return is_named and self._lives(child)

    def _lives(self, node: Node) -> bool:
        """Whether a node leads to a packet: to anything at all, and not only to integers between interfaces' names."""
        if node.level > Field.INTERFACE:
            return node is not NOTHING
        if node not in self._has_packet:
            field = Field(node.level)
            self._has_packet[node] = any(self._leads_on(branch, field) for branch in _branches(node, field))
        return self._has_packet[node]


def _branches(node: Node, field: Field) -> Iterator[Branch]:
    """Where a node leads; paths and families one by one."""
    for (first, last), child in branches_within(node, field, (0, FOREST.largest[field])):
        if field in {Field.PATH, Field.FAMILY}:
            yield from (((value, value), child) for value in range(first, last + 1))
        else:
            yield (first, last), child


def _value(draw: st.DrawFn, field: Field, first: int, last: int, chosen: tuple[int, ...]) -> int:
    """A value in an interval of a field.

    Always two integers are drawn, however small the interval: what follows then keeps its place while Hypothesis
    shrinks, and a packet can come to another path or branch without losing the rest.
    """
    size = last - first + 1
    shape, drawn = draw(st.integers(0, 3)), draw(st.integers(0, size - 1))
    if field is Field.INTERFACE:
        names = [value for value in _NAMES if first <= value <= last] or list(names_within(first, last))
        return names[(shape + drawn) % len(names)]
    ordinary = _ordinary(field, first, last, chosen)
    known = (ordinary, first, last), _notable(field, first, last, chosen)
    match shape:
        case 0:
            return first + (ordinary - first + drawn) % size
        case 1 | 2 if among := known[shape - 1]:
            return among[drawn % len(among)]
        case _:
            return first + drawn * _SPREAD % (1 << 128) % size


def _ordinary(field: Field, first: int, last: int, chosen: tuple[int, ...]) -> int:
    for low, high in preferred_values(field, chosen):
        if first <= high and low <= last:
            return max(first, low)
    return first


def _notable(field: Field, first: int, last: int, chosen: tuple[int, ...]) -> list[int]:
    known: tuple[int, ...] = ()
    if field in {Field.SOURCE_PORT, Field.DESTINATION_PORT}:
        known = _NOTABLE_PORTS
    elif field in {Field.SOURCE, Field.DESTINATION}:
        known = _NOTABLE[FAMILIES[chosen[Field.FAMILY]]]
    return [value for value in known if first <= value <= last]
