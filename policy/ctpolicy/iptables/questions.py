"""A box of packets as rules, one for each combination of what one rule can ask at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Final

from ctpolicy.errors import InputError
from ctpolicy.iptables.conditions import BITMAP_PORTS
from ctpolicy.iptables.prefixes import is_prefix
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    End,
    InSet,
    Interface,
    Match,
    Multiport,
    Notrack,
    Port,
    Protocol,
    Rule,
    Target,
    Verdict,
    VerdictKind,
)
from ctpolicy.iptables.sets import SetMaker
from ctpolicy.netfilter.boxes import Box, Hook, Role
from ctpolicy.packetspace.fields import LOOPBACK, PROTOCOL_NUMBERS, Family, Path, protocol_name
from ctpolicy.packetspace.intervals import Interval, IntervalSet

MOST_SLOTS: Final = 15
"""Of a multiport match; a range takes two."""

TAKEN_BY_HOST: Final = {
    Family.IPV4: (frozenset({"LOCAL", "BROADCAST", "ANYCAST", "MULTICAST"}),),
    # ip6tables refuses BROADCAST, and wants MULTICAST besides what it looks up in routes (xt_addrtype, match_type6).
    Family.IPV6: (frozenset({"LOCAL", "ANYCAST"}), frozenset({"MULTICAST"})),
}
"""The types of destinations that this host itself takes: path in. A packet is taken if any of these matches."""

_WITH_MODULE: Final = frozenset(PROTOCOL_NUMBERS[name] for name in ("tcp", "udp", "sctp", "dccp"))
"""Protocols whose ports iptables has a module for. udplite has none, but multiport knows it."""

Alternatives = list[tuple[Match, ...]]
"""What can be asked of one thing; a packet is meant if all of the matches of any alternative hold."""


def sets_find_ports(protocol: int | None) -> bool:
    """Whether a bitmap:port can be asked about this protocol's ports."""
    return protocol in BITMAP_PORTS


class Questions:
    """How one family's rules ask about boxes at one hook.

    Args:
        family: of the tables.
        hook: of the rules.
        sets: makes ipsets for long lists; None where there is no ipset, so that each element is a rule.
    """

    def __init__(self, family: Family, hook: Hook, sets: SetMaker | None) -> None:
        self._family = family
        self._hook = hook
        self._sets = sets

    def count(self, box: Box) -> int:
        """How many rules a box takes."""
        return prod(map(len, self._asked(box)))

    def rules(self, box: Box) -> list[Rule]:
        """The rules that decide about exactly the packets in a box."""
        target: Target = Notrack() if box.role is Role.BYPASS else Verdict(VerdictKind.RETURN)
        return [
            Rule(tuple(sorted((match for part in parts for match in part), key=_place)), target, box.entry)
            for parts in product(*self._asked(box))
        ]

    def _asked(self, box: Box) -> list[Alternatives]:
        # The route lookup of addrtype comes last.
        return [*self._interfaces(box), *self._ports(box), *self._addresses(box), *self._path(box)]

    def _interfaces(self, box: Box) -> Iterator[Alternatives]:
        end = End.DESTINATION if self._hook is Hook.OUTPUT else End.SOURCE
        if box.on_loopback:
            yield [(Interface(end, LOOPBACK),)]
        if box.interfaces is not None:
            yield [(Interface(end, _pattern(name)),) for name in box.interfaces.patterns or ()]

    def _addresses(self, box: Box) -> Iterator[Alternatives]:
        for end, values in ((End.SOURCE, box.source), (End.DESTINATION, box.destination)):
            if values is None:
                continue
            is_list = len(values) > 1 or not is_prefix(values.intervals[0])
            name = self._sets.addresses(box.role, self._family, values) if self._sets and is_list else None
            yield [(InSet(name, (end,)),)] if name else [(address_match(end, interval),) for interval in values]

    def _ports(self, box: Box) -> Iterator[Alternatives]:
        if box.protocol is None:
            return
        yield [(Protocol(box.protocol),)]
        for end, values in ((End.SOURCE, box.source_ports), (End.DESTINATION, box.destination_ports)):
            if values is not None:
                yield self._port_alternatives(box, box.protocol, end, values)

    def _port_alternatives(self, box: Box, protocol: int, end: End, values: IntervalSet) -> Alternatives:
        if len(values) == 1 and protocol in _WITH_MODULE:
            return [(port_match(protocol, end, values.intervals[0]),)]
        groups = list(_by_slots(values))
        if len(groups) > 1 and self._sets is not None and sets_find_ports(protocol):
            return [(InSet(self._sets.ports(box, protocol, values), (end,)),)]
        return [(Multiport(end, group),) for group in groups]

    def _path(self, box: Box) -> Iterator[Alternatives]:
        if box.paths == self._hook.paths:
            return
        types = TAKEN_BY_HOST[self._family]
        if box.paths == {Path.IN}:
            yield [(AddressType(End.DESTINATION, one),) for one in types]
        else:
            yield [tuple(AddressType(End.DESTINATION, one, negated=True) for one in types)]


def _pattern(name: str) -> str:
    if name.endswith("+"):
        raise InputError(f"iptables cannot name the interface `{name}`: it takes a `+` at the end for any ending.")
    return f"{name[:-1]}+" if name.endswith("*") else name


def address_match(end: End, interval: Interval) -> Match:
    """The match for one interval of addresses."""
    return Address(end, interval) if is_prefix(interval) else AddressRange(end, interval)


def port_match(protocol: int, end: End, interval: Interval) -> Match:
    """The match for one interval of ports."""
    if protocol in _WITH_MODULE:
        return Port(protocol_name(protocol), end, interval)
    return Multiport(end, (interval,))


def _by_slots(values: IntervalSet) -> Iterator[tuple[Interval, ...]]:
    """Intervals in groups that fit a multiport match each."""
    group: list[Interval] = []
    free = MOST_SLOTS
    for first, last in values:
        slots = 1 if first == last else 2
        if slots > free:
            yield tuple(group)
            group, free = [], MOST_SLOTS
        group.append((first, last))
        free -= slots
    yield tuple(group)


def _place(match: Match) -> int:
    """Where iptables-save prints it: `-s -d -i -o -p`, then modules in the order in which they were given."""
    match match:
        case Address(end):
            return 0 if end is End.SOURCE else 1
        case Interface(end):
            return 2 if end is End.SOURCE else 3
        case Protocol():
            return 4
    return 5
