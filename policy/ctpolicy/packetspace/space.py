"""Exact sets of packets.

A PacketSpace is a function from packets to yes or no, as an interval decision diagram (diagram.py) over a packet's
fields (universe.py). Spaces that hold the same packets are one object inside, so `==` costs nothing, and every answer
is about all packets, not about some.

    port, udp = IntervalSet.single(53), IntervalSet.single(17)
    to_dns = PacketSpace.of_boxes([{Field.PROTOCOL: udp, Field.DESTINATION_PORT: port}])
    (to_dns - other).witness()    # a packet to port 53 that is not in the other, or None
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ctpolicy.packetspace import sets
from ctpolicy.packetspace.branches import branches, first_branch
from ctpolicy.packetspace.description import Description, describe, values_of
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import FOREST, REAL_PACKETS, Box, Field, packet_values
from ctpolicy.packetspace.witness import ordinary_packet


def bounded(work: int) -> AbstractContextManager[None]:
    """A limit for all that is done with spaces inside: about a million a second, and 30 bytes each.

    Raises:
        TooLargeError: inside, when there is more to do. Some sets have no small diagram (see universe.py).
    """
    return FOREST.bounded(work)


@dataclass(frozen=True, slots=True)
class PacketSpace:
    """A set of packets. Two are equal if they hold the same packets. Build it with `of_boxes`, `of_packet` and the
    operators `|`, `&`, `-`, `~`; the constructor trusts its argument."""

    root: Node

    @classmethod
    def none(cls) -> PacketSpace:
        """The empty set."""
        return cls(sets.NOTHING)

    @classmethod
    def all(cls) -> PacketSpace:
        """Every packet that a host can meet."""
        return cls(REAL_PACKETS)

    @classmethod
    def of_boxes(cls, boxes: Iterable[Box]) -> PacketSpace:
        """The packets that are in any of these boxes."""
        return cls.of_diagram(sets.union_of_boxes(FOREST, boxes))

    @classmethod
    def of_diagram(cls, root: Node) -> PacketSpace:
        """The packets for which a function of the fields is 1 and not 0."""
        return cls(sets.intersection(FOREST, root, REAL_PACKETS))

    @classmethod
    def of_packet(cls, packet: Packet) -> PacketSpace:
        """One packet."""
        point = zip(Field, packet_values(packet), strict=True)
        return cls.of_boxes([{field: IntervalSet.single(value) for field, value in point}])

    def __or__(self, other: PacketSpace) -> PacketSpace:
        return PacketSpace(sets.union(FOREST, self.root, other.root))

    def __and__(self, other: PacketSpace) -> PacketSpace:
        return PacketSpace(sets.intersection(FOREST, self.root, other.root))

    def __sub__(self, other: PacketSpace) -> PacketSpace:
        return PacketSpace(sets.difference(FOREST, self.root, other.root))

    def __invert__(self) -> PacketSpace:
        return PacketSpace.all() - self

    def __bool__(self) -> bool:
        return self.root is not sets.NOTHING

    def __le__(self, other: PacketSpace) -> bool:
        return not self - other

    def __contains__(self, packet: Packet) -> bool:
        return FOREST.value(self.root, packet_values(packet)) == 1

    def within(self, box: Box) -> PacketSpace:
        """The packets of the set that are in a box; much quicker than `&` where the set is large and the box small."""
        return PacketSpace(sets.part(FOREST, self.root, box))

    def count(self) -> int:
        """How many packets there are, as values of the eight fields; an interface has 2^128 values."""
        return sets.count(FOREST, self.root)

    def witness(self) -> Packet | None:
        """One packet, as ordinary as there is; None if there is none."""
        return ordinary_packet(self.root)

    def describe(self, limit: int = 8) -> Description:
        """The set in at most so many boxes."""
        return describe(self.root, limit)

    def is_larger_than(self, nodes: int) -> bool:
        """Whether its diagram has more nodes than this: long lists have few, what crosses has many, and is dear to
        describe."""
        return sets.is_larger_than(self.root, nodes)

    def cover(self, within: PacketSpace, limit: int) -> Description:
        """At most so many boxes that hold the set, and may hold more of what is `within`: fewer, larger boxes."""
        return describe(self.root, limit, within.root)

    def branches(self, limit: int) -> list[Box] | None:
        """The set in boxes that have nothing in common, as its diagram has them; None if they are more than so many."""
        return branches(self.root, limit)

    def branch(self) -> Box | None:
        """One of these boxes, at hardly any cost however many they are; None if the set is empty."""
        return first_branch(self.root)

    def moved(self, to: Box) -> PacketSpace:
        """The packets that have the values of a box in its fields, and those of a packet of the set in all others."""
        fields = PacketSpace.of_boxes([to])
        return PacketSpace(sets.intersection(FOREST, sets.projection(FOREST, self.root, set(to)), fields.root))

    def values(self, field: Field) -> IntervalSet:
        """The values of a field that packets of the set have."""
        return values_of(self.root, field)
