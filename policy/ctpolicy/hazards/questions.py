"""What rules ask of packets: the fields that are modelled, and what is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ctpolicy.packetspace.intervals import IntervalSet


class Asked(Enum):
    """What a rule can ask of a packet, as values of integers."""

    FAMILY = "family"
    PROTOCOL = "protocol"
    SOURCE = "source"
    DESTINATION = "destination"
    SOURCE_PORT = "source port"
    DESTINATION_PORT = "destination port"
    INCOMING = "incoming interface"
    OUTGOING = "outgoing interface"
    DESTINATION_TYPE = "type of destination"
    ICMP_TYPE = "type of icmp message"


ADDRESS_TYPES: Final = (
    *("local", "broadcast", "anycast", "multicast"),  # what this host takes
    *("unicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"),
)
"""Types of addresses by the words of `fib daddr type`; their places here are the values of DESTINATION_TYPE."""

Values = Mapping[Asked, IntervalSet]
"""Values that several things asked must have together."""


@dataclass(frozen=True, slots=True)
class Within:
    """What is asked of a packet has, or with `negated` has not, the values of one of these.

    Args:
        boxes: one for a question about one field; one for each element of a set of concatenated fields.
        negated: whether it holds for packets that are in none.
    """

    boxes: tuple[Values, ...]
    negated: bool = False

    @classmethod
    def of(cls, asked: Asked, values: IntervalSet, *, negated: bool = False) -> Within:
        """A question about one field."""
        return cls(({asked: values},), negated)

    @classmethod
    def single(cls, asked: Asked, value: int) -> Within:
        """A field has one value."""
        return cls.of(asked, IntervalSet.single(value))

    @property
    def asks(self) -> frozenset[Asked]:
        """All that is asked."""
        return frozenset(asked for box in self.boxes for asked in box)


class About(Enum):
    """What the answer to an open question is about: whether it is the same for a packet that conntrack treats
    otherwise."""

    PACKET = "packet"
    """The packet, or the host: its answer does not depend on conntrack (`tcp flags`, `meta pkttype`, `meta skuid`)."""
    MARK = "mark"
    """The packet's mark: it is the same as long as the same rules set it."""
    ANYTHING = "anything"
    """It may depend on conntrack, or on other packets (limits, counts, dynamic sets, what nobody knows)."""


@dataclass(frozen=True, slots=True)
class Open:
    """A question that is not modelled.

    Args:
        words: it, for people.
        about: what its answer depends on.
    """

    words: str
    about: About = About.ANYTHING
