"""What a rule's question is about a packet whose path, family and protocol are known.

Then most questions are about one field of the packet; some are answered already (`meta nfproto`, `fib daddr type`, a
port of another protocol), and some cannot be, because ctpolicy does not model what they ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ctpolicy.netfilter.situations import Situation
from ctpolicy.nftables.matches import DESTINATION_TYPE
from ctpolicy.nftables.names import TAKEN_BY_HOST
from ctpolicy.nftables.ruleset import Concatenation, Element, Fib, Joined, Meta, Payload, Selector, Value
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, PROTOCOLS_WITH_PORTS, Family, Path, protocol_number
from ctpolicy.packetspace.interface_values import pattern_interval
from ctpolicy.packetspace.interfaces import LONGEST_NAME
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.sets import union_of_boxes
from ctpolicy.packetspace.universe import FOREST, Box, Field


@dataclass(frozen=True, slots=True)
class Known:
    """A field of the one packet that is followed, and its value."""

    field: Field
    value: int


class Unanswered:
    """What the selector asks of a packet in this situation is not modelled."""


class Absent:
    """Packets in this situation have no such field, so that the rule does not apply, negated or not."""


One = Field | Known | frozenset[int | str] | Unanswered
"""A field; its value; or the values that the packet may have, as far as its situation tells."""

Asked = One | tuple[One, ...] | Absent
"""What a selector asks, or each part of a concatenation."""

_NOT_TAKEN: Final = frozenset({"unicast", "blackhole", "unreachable", "prohibit"})
"""The types of destinations on path forward: IPv6 calls those unreachable that no route leads to."""

UNANSWERED = Unanswered()
ABSENT = Absent()


def asked(selector: Selector, situation: Situation) -> Asked:
    """What a selector asks of packets in a situation."""
    if isinstance(selector, Concatenation):
        parts = [_asked_of_one(part, situation) for part in selector.parts]
        present = tuple(part for part in parts if not isinstance(part, Absent))
        return present if len(present) == len(parts) else ABSENT
    return _asked_of_one(selector, situation)


def _asked_of_one(selector: Payload | Meta | Fib, situation: Situation) -> One | Absent:
    about = _asked_of_any(selector, situation)
    if isinstance(about, Field) and situation.values is not None:
        return Known(about, situation.values[about])
    return about


def _asked_of_any(selector: Payload | Meta | Fib, situation: Situation) -> One | Absent:
    """What a selector asks of any packet in a situation."""
    match selector:
        case Payload("ip" | "ip6" as word, "saddr" | "daddr" as field):
            if situation.family is not (Family.IPV4 if word == "ip" else Family.IPV6):
                return ABSENT
            return Field.SOURCE if field == "saddr" else Field.DESTINATION
        case Payload(protocol, "sport" | "dport" as field) if _is_transport(protocol):
            return _port(protocol, Field.SOURCE_PORT if field == "sport" else Field.DESTINATION_PORT, situation)
        case Meta("l4proto"):
            return frozenset({situation.protocol})
        case Payload("ip", "protocol"):
            return frozenset({situation.protocol}) if situation.family is Family.IPV4 else ABSENT
        case Payload("ip6", "nexthdr"):  # the first header: any extension header may stand before the transport's
            return IPV6_EXTENSION_HEADERS | {situation.protocol} if situation.family is Family.IPV6 else ABSENT
        case Payload(word, _) if protocol_number(word) not in {None, situation.protocol}:
            return ABSENT
        case Meta("protocol"):
            return frozenset({"ip" if situation.family is Family.IPV4 else "ip6"})
        case Meta("nfproto"):
            return frozenset({situation.family.value})
        case Meta("iifname" | "oifname" | "iif" | "oif" as key):
            # The other hook's interface is not there yet, or no more: an empty name.
            return Field.INTERFACE if key.startswith("o") is (situation.path is Path.OUT) else frozenset({""})
    if selector == DESTINATION_TYPE and situation.path is not Path.OUT:
        return frozenset(TAKEN_BY_HOST) if situation.path is Path.IN else _NOT_TAKEN
    return UNANSWERED


def _is_transport(word: str) -> bool:
    return word == "th" or protocol_number(word) in PROTOCOLS_WITH_PORTS


def _port(word: str, field: Field, situation: Situation) -> One | Absent:
    if word == "th":  # of a protocol without ports, the kernel looks at whatever is there
        return field if situation.protocol in PROTOCOLS_WITH_PORTS else UNANSWERED
    return field if protocol_number(word) == situation.protocol else ABSENT


def holds(element: Element, value: int | str) -> bool:
    """Whether a value that is known is in an element of a set."""
    if isinstance(element, str):
        return value == element or (element.endswith("*") and str(value).startswith(element[:-1]))
    return isinstance(element, tuple) and isinstance(value, int) and element[0] <= value <= element[1]


@dataclass(frozen=True, slots=True)
class Members:
    """Packets whose fields are in certain elements: those that are, and those that may be, as diagrams."""

    certainly: Node
    possibly: Node


def membership(elements: Iterable[Element], about: Sequence[One]) -> Members:
    """The packets whose concatenated fields are in one of the elements."""
    certainly: list[Box] = []
    possibly: list[Box] = []
    for element in elements:
        parts = element.parts if isinstance(element, Joined) else (element,)
        box: dict[Field, IntervalSet] = {}
        answers = {_confined(box, value, one) for value, one in zip(parts, about, strict=True)}
        if False not in answers:
            possibly.append(box)
            if None not in answers:
                certainly.append(box)
    return Members(union_of_boxes(FOREST, certainly), union_of_boxes(FOREST, possibly))


def _confined(box: dict[Field, IntervalSet], value: Value, one: One) -> bool | None:
    """Whether a part of a packet is in a part of an element: no, perhaps (None), or where it is in this box."""
    if isinstance(one, Field):
        interval = field_interval(value, one)
        if interval is None:
            return None
        found = IntervalSet((interval,))
        box[one] = box[one] & found if one in box else found
        return True
    if isinstance(one, Known):
        interval = field_interval(value, one.field)
        return None if interval is None else interval[0] <= one.value <= interval[1]
    if isinstance(one, Unanswered):
        return None
    answers = {holds(value, known) for known in one}
    return answers.pop() if len(answers) == 1 else None


def field_values(elements: Iterable[Element], field: Field) -> IntervalSet | None:
    """Elements as values of a field; None if one of them is none."""
    if field is not Field.INTERFACE:  # in one go: sets of 100,000 addresses are asked about in every situation
        elements = tuple(elements)
        return IntervalSet.of(elements) if set(map(type, elements)) <= {tuple} else None  # type: ignore[arg-type]
    found = [field_interval(element, field) for element in elements]
    return None if None in found else IntervalSet.of(interval for interval in found if interval)


def field_interval(element: Element, field: Field) -> Interval | None:
    """An element as values of a field; None if it is none."""
    if isinstance(element, str):
        is_name = field is Field.INTERFACE and element.isascii() and len(element) <= LONGEST_NAME
        return pattern_interval(element) if is_name else None
    return element if field is not Field.INTERFACE and isinstance(element, tuple) else None
