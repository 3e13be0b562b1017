"""Packets whose path, family and protocol are known; and all packets, put together from those.

With these three known, most of what rules ask is about one field of the packet, or is answered already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.sets import NOTHING
from ctpolicy.packetspace.universe import Field, family_set, packet_values, path_set


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of packets while their way is followed.

    Args:
        path: of the packets.
        family: likewise.
        protocol: one that stands for all that the rules treat alike.
        values: all the fields of the packet, if only one is followed. Then no question is left open but those that
            are not modelled, and what becomes of the packet is a leaf, however large the rules are.
    """

    path: Path
    family: Family
    protocol: int
    values: tuple[int, ...] | None = None

    @classmethod
    def of(cls, packet: Packet) -> Situation:
        """That of one packet."""
        return cls(packet.path, packet.family, packet.protocol, packet_values(packet))


def treatment_of(protocols_alike: Iterable[IntervalSet], follow: Callable[[Situation], Node]) -> Treatment:
    """What becomes of every packet, from what becomes of packets in each situation.

    Args:
        protocols_alike: all protocols, in sets that no rule tells apart.
        follow: what may become of packets in a situation.
    """
    alike = list(protocols_alike)
    by_path = []
    for path in Path:
        by_family = []
        for family in Family:
            by_protocol = [(numbers, follow(Situation(path, family, numbers.intervals[0][0]))) for numbers in alike]
            by_family.append((family_set(family), outcomes.choose(Field.PROTOCOL, by_protocol, NOTHING)))
        by_path.append((path_set(path), outcomes.choose(Field.FAMILY, by_family, NOTHING)))
    return Treatment(outcomes.choose(Field.PATH, by_path, NOTHING))
