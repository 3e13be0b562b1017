"""What a rule's question is about a packet whose path, family and protocol are known.

Then most questions are about one field of the packet; some are answered already (`meta nfproto`, `fib daddr type`, a
port of another protocol), and some cannot be, because ctpolicy does not model what they ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ctpolicy.nftables.matches import DESTINATION_TYPE
from ctpolicy.nftables.names import TAKEN_BY_HOST
from ctpolicy.nftables.ruleset import Element, Meta, Payload, Selector
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family, Path, protocol_number
from ctpolicy.packetspace.interface_values import pattern_interval
from ctpolicy.packetspace.interfaces import LONGEST_NAME
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.universe import Field


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of packets while their way is followed.

    Args:
        path: of the packets.
        family: likewise.
        protocol: one that stands for all that the rules treat alike.
    """

    path: Path
    family: Family
    protocol: int


class Unanswered:
    """What the selector asks of a packet in this situation is not modelled."""


class Absent:
    """Packets in this situation have no such field, so that the rule does not apply, negated or not."""


Asked = Field | frozenset[int | str] | Unanswered | Absent
"""A field; or the values that the packet may have, as far as its situation tells."""

UNANSWERED = Unanswered()
ABSENT = Absent()


def asked(selector: Selector, situation: Situation) -> Asked:
    """What a selector asks of packets in a situation."""
    match selector:
        case Payload("ip" | "ip6" as word, "saddr" | "daddr" as field):
            if situation.family is not (Family.IPV4 if word == "ip" else Family.IPV6):
                return ABSENT
            return Field.SOURCE if field == "saddr" else Field.DESTINATION
        case Payload(protocol, "sport" | "dport" as field) if _is_transport(protocol):
            return _port(protocol, Field.SOURCE_PORT if field == "sport" else Field.DESTINATION_PORT, situation)
        case Meta("l4proto"):
            return frozenset({situation.protocol})
        case Meta("nfproto"):
            return frozenset({situation.family.value})
        case Meta("iifname" | "oifname" as key):
            # The other hook's interface is not there yet, or no more: an empty name.
            return Field.INTERFACE if (key == "oifname") is (situation.path is Path.OUT) else frozenset({""})
    if selector == DESTINATION_TYPE and situation.path is not Path.OUT:
        return frozenset(TAKEN_BY_HOST if situation.path is Path.IN else ("unicast",))
    return UNANSWERED


def _is_transport(word: str) -> bool:
    return word == "th" or protocol_number(word) in PROTOCOLS_WITH_PORTS


def _port(word: str, field: Field, situation: Situation) -> Asked:
    if word == "th":  # of a protocol without ports, the kernel looks at whatever is there
        return field if situation.protocol in PROTOCOLS_WITH_PORTS else UNANSWERED
    return field if protocol_number(word) == situation.protocol else ABSENT


def holds(element: Element, value: int | str) -> bool:
    """Whether a value that is known is in an element of a set."""
    if isinstance(element, str):
        return value == element or (element.endswith("*") and str(value).startswith(element[:-1]))
    return isinstance(value, int) and element[0] <= value <= element[1]


def field_values(elements: Iterable[Element], field: Field) -> IntervalSet | None:
    """Elements as values of a field; None if one of them is none."""
    found = [field_interval(element, field) for element in elements]
    return None if None in found else IntervalSet.of(interval for interval in found if interval)


def field_interval(element: Element, field: Field) -> Interval | None:
    """An element as values of a field; None if it is none."""
    if isinstance(element, str):
        is_name = field is Field.INTERFACE and element.isascii() and len(element) <= LONGEST_NAME
        return pattern_interval(element) if is_name else None
    return element if field is not Field.INTERFACE else None
