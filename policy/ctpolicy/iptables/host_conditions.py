"""What a match of iptables asks of a packet, in the form of hazards/rules.py."""

from __future__ import annotations

from typing import Final

from ctpolicy.hazards.rules import ADDRESS_TYPES, About, Asked, Open, Values, Within
from ctpolicy.iptables.destinations import MULTICAST
from ctpolicy.iptables.host_modules import module_question
from ctpolicy.iptables.host_questions import ADDRESS, INTERFACE, NOBODY, PORT, Known, Question
from ctpolicy.iptables.host_sets import in_set
from ctpolicy.iptables.render import rule_text
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    End,
    InSet,
    Interface,
    Match,
    Multiport,
    Port,
    Protocol,
    Rule,
    UnmodelledMatch,
)
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family
from ctpolicy.packetspace.interface_values import pattern_interval
from ctpolicy.packetspace.interfaces import LONGEST_NAME
from ctpolicy.packetspace.intervals import IntervalSet

_NOT_UNICAST: Final = IntervalSet.of([(0, 0), (0xFFFF << 32, (0x10000 << 32) - 1), *MULTICAST[Family.IPV6]])
"""Addresses of IPv6 that are no unicast ones to ipv6_addr_type: none, those mapped from IPv4, and multicast."""


def question(match: Match, known: Known) -> Question:
    """What a match asks."""
    match match:
        case Address(end, interval, negated) | AddressRange(end, interval, negated):
            return _within(ADDRESS[end], IntervalSet((interval,)), negated)
        case Interface():
            return _interface(match, known)
        case Protocol(number, negated):
            return _within(Asked.PROTOCOL, IntervalSet.single(number), negated)
        case Port(module, end, interval, negated):
            asked = _within(PORT[end], IntervalSet((interval,)), negated)
            return Question((Within.single(Asked.PROTOCOL, PROTOCOL_NUMBERS[module]),)) & asked
        case Multiport(End.EITHER, intervals, negated):
            ports = IntervalSet.of(intervals)
            return Question((Within(tuple({one: ports} for one in PORT.values()), negated),))
        case Multiport(end, intervals, negated):
            return _within(PORT[end], IntervalSet.of(intervals), negated)
        case AddressType():
            return _address_type(match, known)
        case InSet():
            return in_set(match, known, _words(match, known))
        case UnmodelledMatch(text):
            return module_question(text, known)


def _words(match: Match, known: Known) -> str:
    return rule_text(Rule((match,)), known.family)


def _within(asked: Asked, values: IntervalSet, negated: bool) -> Question:
    return Question((Within.of(asked, values, negated=negated),))


def _interface(match: Interface, known: Known) -> Question:
    pattern = match.pattern
    if pattern == "+":  # also of packets that have none
        return Question((NOBODY,)) if match.negated else Question()
    if not pattern.isascii() or len(pattern) > LONGEST_NAME or "*" in pattern:
        return Question(open=(Open(_words(match, known), About.PACKET),))
    wanted = f"{pattern[:-1]}*" if pattern.endswith("+") else pattern
    return _within(INTERFACE[match.end], IntervalSet((pattern_interval(wanted),)), match.negated)


def _address_type(match: AddressType, known: Known) -> Question:
    words = _words(match, known)
    if match.end is not End.DESTINATION:
        return Question(open=(Open(words, About.PACKET),))
    types = {one.lower() for one in match.types}
    if known.family is Family.IPV4:
        return Question((Within(_of_any_type(types, Family.IPV4), match.negated),))
    return _types_of_ipv6(types, match.negated, words)


def _of_any_type(types: set[str], family: Family) -> tuple[Values, ...]:
    """Destinations of any of these types. Which are multicast their addresses tell."""
    boxes: list[Values] = []
    if routed := [ADDRESS_TYPES.index(one) for one in types if one in ADDRESS_TYPES and one != "multicast"]:
        boxes.append({Asked.DESTINATION_TYPE: IntervalSet.of((one, one) for one in routed)})
    if "multicast" in types:
        boxes.append({Asked.DESTINATION: MULTICAST[family]})
    return tuple(boxes)


def _types_of_ipv6(types: set[str], negated: bool, words: str) -> Question:
    """All that the address tells, and any of those that are looked up (match_type6; see destinations.is_of)."""
    routed = types & {"local", "anycast", "unreachable"}
    of_address = types - routed
    if not of_address <= {"unicast", "multicast"} or (negated and len(of_address) + bool(routed) > 1):
        return Question(open=(Open(words, About.PACKET),))
    fields: tuple[Within, ...] = ()
    if "unicast" in of_address:
        fields += (Within.of(Asked.DESTINATION, _NOT_UNICAST, negated=not negated),)
    if "multicast" in of_address:
        fields += (Within.of(Asked.DESTINATION, MULTICAST[Family.IPV6], negated=negated),)
    if routed:
        # A multicast address that this host takes may be of any of these, too.
        taken = {Asked.DESTINATION: MULTICAST[Family.IPV6], Asked.DESTINATION_TYPE: _of("multicast")}
        fields += (Within((*_of_any_type(routed, Family.IPV6), taken), negated),)
    return Question(fields)


def _of(address_type: str) -> IntervalSet:
    return IntervalSet.single(ADDRESS_TYPES.index(address_type))
