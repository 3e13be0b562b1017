"""What a rule's match asks about packets whose path, family, protocol and kind of destination are known.

Then most matches are about one field of the packet; some are answered already, and some cannot be, because ctpolicy
does not model what they ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from typing import Final, NamedTuple

from ctpolicy.iptables.destinations import Kind, is_of
from ctpolicy.iptables.render_sets import dimensions
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    End,
    InSet,
    Interface,
    IpSet,
    Match,
    Multiport,
    Port,
    Protocol,
    UnmodelledMatch,
)
from ctpolicy.netfilter.situations import Situation
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family, Path, protocol_number
from ctpolicy.packetspace.interface_values import pattern_interval
from ctpolicy.packetspace.interfaces import LONGEST_NAME
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.sets import union_of_boxes
from ctpolicy.packetspace.universe import FOREST, Box, Field

_TCP, _UDP = PROTOCOL_NUMBERS["tcp"], PROTOCOL_NUMBERS["udp"]
_ICMP, _ICMPV6 = PROTOCOL_NUMBERS["icmp"], PROTOCOL_NUMBERS["icmpv6"]

SET_PORTS: Final = frozenset({_TCP, _UDP, PROTOCOL_NUMBERS["sctp"], PROTOCOL_NUMBERS["udplite"]})
"""Protocols whose ports ipset finds. It has never learnt dccp's, so that these are 0 to it (ip_set_getport.c)."""

BITMAP_PORTS: Final = frozenset({_TCP, _UDP})
"""Protocols of packets that can be in a bitmap:port (ip_set_get_ip_port)."""

WITHOUT_TRANSPORT: Final = {Family.IPV4: 0, Family.IPV6: 59}
"""A protocol of which ipset finds no packet in any set that has ports."""

SPECIAL_TO_SETS: Final = SET_PORTS | {_ICMP, _ICMPV6, *WITHOUT_TRANSPORT.values()}


class Within(NamedTuple):
    """The packets that have one of these values in a field."""

    field: Field
    values: IntervalSet


class Members(NamedTuple):
    """The packets that are in a set, and those that may be, as diagrams."""

    certainly: Node
    possibly: Node


class Absent:
    """Packets in this situation have no such field, so that the rule does not apply, negated or not."""


ABSENT: Final = Absent()

Asked = bool | None | Within | Members | Absent
"""Who is meant by a match, before it is negated; None if that is not modelled."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of packets while their way is followed.

    Args:
        situation: path, family and protocol.
        kind: of their destination.
        sets: those whose elements are known, by name.
    """

    situation: Situation
    kind: Kind
    sets: Mapping[str, IpSet]


def asked(match: Match, known: Circumstances) -> Asked:
    """What a match asks of packets."""
    situation = known.situation
    match match:
        case Address(end, interval) | AddressRange(end, interval):
            return Within(_address_field(end), IntervalSet((interval,)))
        case Interface(end, pattern):
            return _interface(end, pattern, situation)
        case Protocol(number):
            return situation.protocol == number
        case Port(module, end, interval):
            has_it = protocol_number(module) == situation.protocol
            return Within(_port_field(end), IntervalSet((interval,))) if has_it else ABSENT
        case Multiport(end, intervals):
            has_ports = situation.protocol in PROTOCOLS_WITH_PORTS
            return _ports(end, IntervalSet.of(intervals)) if has_ports else ABSENT
        case AddressType(end, types):
            return is_of(known.kind, types, situation.family) if end is End.DESTINATION else None
        case InSet(name, ends):
            return _in_set(known.sets[name], ends, situation) if name in known.sets else None
        case UnmodelledMatch(text):
            return True if text.startswith("-m comment ") else None


def _address_field(end: End) -> Field:
    return Field.SOURCE if end is End.SOURCE else Field.DESTINATION


def _port_field(end: End) -> Field:
    return Field.SOURCE_PORT if end is End.SOURCE else Field.DESTINATION_PORT


def _ports(end: End, values: IntervalSet) -> Within | Members:
    if end is not End.EITHER:
        return Within(_port_field(end), values)
    either = union_of_boxes(FOREST, [{Field.SOURCE_PORT: values}, {Field.DESTINATION_PORT: values}])
    return Members(either, either)


def _has_interface(end: End, situation: Situation) -> bool:
    """Whether the hook has this interface: the other one's name is empty there."""
    return (end is End.DESTINATION) is (situation.path is Path.OUT)


def _interface(end: End, pattern: str, situation: Situation) -> bool | Within | None:
    if pattern == "+":
        return True
    if not _has_interface(end, situation):
        return False
    if not pattern.isascii() or len(pattern) > LONGEST_NAME or "*" in pattern:
        return None
    wanted = f"{pattern[:-1]}*" if pattern.endswith("+") else pattern
    return Within(Field.INTERFACE, IntervalSet((pattern_interval(wanted),)))


def _in_set(one: IpSet, ends: Sequence[End], situation: Situation) -> Asked:
    if one.unmodelled:
        return None
    kinds = dimensions(one.type)
    if len(ends) < len(kinds) or one.family not in {None, situation.family}:
        return False
    if len(kinds) > 1:
        return _joined_members(one, ends, kinds, situation)
    if kinds == ("port",):
        return situation.protocol in BITMAP_PORTS and Within(_port_field(ends[0]), one.values)
    return Within(_address_field(ends[0]), one.values)


def _joined_members(one: IpSet, ends: Sequence[End], kinds: Sequence[str], situation: Situation) -> Members:
    decided = decided_by_it(one) if "iface" in kinds else {}
    certainly: list[Box] = []
    possibly: list[Box] = []
    for element in one.elements:
        box: dict[Field, IntervalSet] = {}
        answers = set()
        for part, protocol, kind, end in zip(element.parts, element.protocols, kinds, ends, strict=False):
            values = decided.get(part, IntervalSet((part,))) if kind == "net" else IntervalSet((part,))
            answers.add(_confined(box, values, protocol, _Dimension(kind, end), situation))
        if False not in answers:
            possibly.append(box)
            if None not in answers:
                certainly.append(box)
    return Members(union_of_boxes(FOREST, certainly), union_of_boxes(FOREST, possibly))


def decided_by_it(one: IpSet) -> dict[Interval, IntervalSet]:
    """For each network of a hash:net,iface, its addresses that no longer prefix of the set has.

    The kernel looks for the longest prefix first, and goes to no shorter one if that is there with another interface
    (mtype_test_cidrs: `multi`).
    """
    nets = sorted({element.parts[0] for element in one.elements}, key=lambda net: (net[0], -net[1]))
    found = {}
    for place, (first, last) in enumerate(nets, start=1):
        longer = IntervalSet.of(takewhile(partial(_begins_by, last), islice(nets, place, None)))
        found[first, last] = longer.complement(Family.IPV6.bits) & IntervalSet(((first, last),))
    return found


def _begins_by(last: int, net: Interval) -> bool:
    return net[0] <= last


class _Dimension(NamedTuple):
    """What a part of an element is about, and of which end of a packet it is asked."""

    kind: str
    end: End


def _confined(
    box: dict[Field, IntervalSet], values: IntervalSet, protocol: int | None, of: _Dimension, situation: Situation
) -> bool | None:
    """Whether a part of a packet is in a part of an element: no, perhaps (None), or where it is in this box."""
    if of.kind == "port":
        if protocol != situation.protocol or protocol == WITHOUT_TRANSPORT[situation.family]:
            return False
        if protocol in {_ICMP, _ICMPV6}:
            return None
        if protocol not in SET_PORTS:
            return 0 in values
        return _confine(box, _port_field(of.end), values)
    if of.kind == "iface":
        return _has_interface(of.end, situation) and _confine(box, Field.INTERFACE, values)
    return _confine(box, _address_field(of.end), values)


def _confine(box: dict[Field, IntervalSet], field: Field, values: IntervalSet) -> bool:
    box[field] = box[field] & values if field in box else values
    return True
