"""What a reviewer looks at first: which of the packets that change are a risk, and why.

A box gets the highest risk that any of its packets has, and is not split: a box is what one entry says, and two halves
of it would be read twice. Its witness is then one of the packets that have the risk.

- Protected traffic is named, not computed (decision 0005): a box has it if it names a protected port, at either end, or
  if it names no port at all. So answers from port 9100 to any port are not ssh, though a client's own port may be 22.
- A translated or service network is one that the review is told of, or that a `track` entry of either side names by
  addresses alone (`match: {destination: 172.30.0.0/16}`): where people keep a network tracked whatever its ports, they
  do so because something translates it. What such an entry names together with ports is no network.
- What is left but for less than half of all values is no limit: "all of udp but port 53" is a whole protocol still.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.language.policy import (
    ANY_ADDRESS,
    ANY_INTERFACE,
    ANY_PORT,
    EVERY_PATH,
    Match,
    Policy,
    ProtocolBox,
    ProtocolPorts,
)
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FAMILIES, FOREST, Box, Field
from ctpolicy.review.review import Risk

_ENDS: Final = (Field.DESTINATION_PORT, Field.SOURCE_PORT)
_LIMITS: Final = (Field.SOURCE, Field.DESTINATION, Field.SOURCE_PORT, Field.DESTINATION_PORT, Field.INTERFACE)


@dataclass(frozen=True, slots=True)
class Risks:
    """What is a risk in one comparison.

    Args:
        protected: protocol and ports that either side protects.
        translated: packets of networks that are translated, or kept tracked whatever their ports.
    """

    protected: tuple[ProtocolPorts, ...]
    translated: PacketSpace

    @classmethod
    def of(cls, base: Policy, head: Policy, sensitive: PacketSpace | None) -> Risks:
        """What two policies say is a risk, and what is known beside them."""
        named = entries_space(_networks(base, head))
        protected = tuple(dict.fromkeys((*head.protect, *base.protect)))
        return cls(protected, named if sensitive is None else named | sensitive)

    def of_box(self, box: Box) -> Risk:
        """The highest risk that packets of a box have."""
        if any(_names(box, guarded) for guarded in self.protected):
            return Risk.PROTECTED
        if self.translated and self.translated.within(box):
            return Risk.TRANSLATED
        return Risk.ORDINARY if any(_is_limited(box, field) for field in _LIMITS) else Risk.WHOLE

    def witness(self, box: Box, risk: Risk) -> Packet | None:
        """A packet of a box that has the risk, as ordinary as there is; None if none has an interface with a name."""
        packets = PacketSpace.of_boxes([box])
        match risk:
            case Risk.PROTECTED:
                risky = packets & PacketSpace.of_boxes(_protected_boxes(self.protected))
            case Risk.TRANSLATED:
                risky = packets & self.translated
            case _:
                risky = packets
        return risky.witness()


def _networks(base: Policy, head: Policy) -> Iterator[Match]:
    """Track entries that name addresses and no ports, without all else that they say."""
    for entry in {*base.track, *head.track}:
        if isinstance(entry, Match) and _names_networks_alone(entry):
            yield replace(entry, boxes=(ProtocolBox(),), paths=EVERY_PATH, interfaces=ANY_INTERFACE)


def _names_networks_alone(entry: Match) -> bool:
    ports = (ports for box in entry.boxes for ports in (box.source_ports, box.destination_ports))
    names_any = entry.source != ANY_ADDRESS or entry.destination != ANY_ADDRESS
    return names_any and all(found == ANY_PORT for found in ports)


def _protected_boxes(protected: tuple[ProtocolPorts, ...]) -> Iterator[Box]:
    for guarded in protected:
        for end in _ENDS:
            yield {Field.PROTOCOL: IntervalSet.single(guarded.protocol)} | _ports(guarded, end)


def _ports(guarded: ProtocolPorts, end: Field) -> dict[Field, IntervalSet]:
    return {end: guarded.ports} if guarded.protocol in PROTOCOLS_WITH_PORTS else {}


def _names(box: Box, guarded: ProtocolPorts) -> bool:
    """Whether a box names guarded ports where it names any, or names none and holds them."""
    if Field.PROTOCOL in box and guarded.protocol not in box[Field.PROTOCOL]:
        return False
    if guarded.protocol not in PROTOCOLS_WITH_PORTS:
        return True
    naming = [end for end in _ENDS if _is_limited(box, end)]
    return any(box.get(end, ANY_PORT) & guarded.ports for end in naming or _ENDS)


def _is_limited(box: Box, field: Field) -> bool:
    """Whether a box leaves out at least half of a field's values."""
    if field not in box:
        return False
    held = sum(last - first + 1 for first, last in box[field])
    return 2 * held <= _how_many(box, field)


def _how_many(box: Box, field: Field) -> int:
    """How many values a field has; addresses those of the family, because a box of both has all of them."""
    if field in {Field.SOURCE, Field.DESTINATION}:
        families = [family for value, family in enumerate(FAMILIES) if value in box.get(Field.FAMILY, _EITHER)]
        return 1 << max(family.bits for family in families)
    return FOREST.largest[field] + 1


_EITHER: Final = IntervalSet.full(1)
