"""What a ruleset means: the exact set of packets that it leaves untracked.

Every packet of one path, family and protocol is followed through the rules at once, as a diagram of what may become of
it (outcomes.py). With these three known, a verdict map asks one field, and what comes behind it mostly asks later
ones, so that a map is one node. Protocols that no rule tells apart are followed together.

Only what decides about tracking is followed: base chains of prerouting and output that come before conntrack. Where a
rule asks what ctpolicy does not model (a mark, a rate), both ways are followed: such packets are possibly untracked,
and not certainly. So are all that come in where a rule says `notrack` at ingress or in a bridge's prerouting, which are
not followed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.situations import Situation, treatment_of
from ctpolicy.netfilter.treatment import Outcome, Treatment, Untracked
from ctpolicy.nftables.arrivals import untracks_before_ip
from ctpolicy.nftables.conditions import asked, holds
from ctpolicy.nftables.following import Names, comes_before_conntrack, hook_outcomes
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    Concatenation,
    Datatype,
    Element,
    Fib,
    Joined,
    Match,
    Meta,
    Payload,
    Ruleset,
    Table,
    Value,
    VerdictLookup,
    key_types,
    named_types,
)
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family, Path, protocol_number
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.packet import Packet

_FAMILIES: Final = {"inet": set(Family), "ip": {Family.IPV4}, "ip6": {Family.IPV6}}
"""The families of the packets that tables of a family meet in prerouting and output."""


def table_space(table: Table) -> Untracked:
    """What one table alone leaves untracked."""
    return ruleset_space((table,))


def ruleset_space(ruleset: Ruleset) -> Untracked:
    """What tables together leave untracked."""
    return ruleset_treatment(ruleset).untracked


def ruleset_treatment(ruleset: Iterable[Table]) -> Treatment:
    """What tables together do to every packet before conntrack."""
    ruleset = list(ruleset)
    early = any(map(untracks_before_ip, ruleset))
    deciding = [table for table in ruleset if _decides(table)]
    if not (deciding or early):
        return Treatment.none()
    tables = [Names.of(table) for table in deciding]

    def followed(situation: Situation) -> Node:
        node = hook_outcomes([names for names in tables if is_met(names.table, situation.family)], situation)
        return outcomes.any_of([node, outcomes.marked(node)]) if early and situation.path is not Path.OUT else node

    return treatment_by_situation(deciding, followed)


def is_met(table: Table, family: Family) -> bool:
    """Whether packets of a family meet a table."""
    return family in _FAMILIES.get(table.family, ())


def treatment_by_situation(ruleset: Sequence[Table], followed: Callable[[Situation], Node]) -> Treatment:
    """What becomes of every packet, put together of what becomes of those in each situation.

    Args:
        ruleset: the tables that are followed.
        followed: what becomes of packets in one situation; asked once for those in which no rule asks anything else.
    """
    selectors = dict.fromkeys(statement.selector for table in ruleset for statement in _asking(table))
    known: dict[object, Node] = {}

    def treated(situation: Situation) -> Node:
        meant = tuple(asked(selector, situation) for selector in selectors)
        met = tuple(is_met(table, situation.family) for table in ruleset)
        key = (situation.path is Path.OUT, met, meant)
        if key not in known:
            known[key] = followed(situation)
        return known[key]

    return treatment_of(_protocols_alike(ruleset), treated)


def packet_outcome(table: Table, packet: Packet) -> Outcome:
    """What one table alone does with one packet: the same as its space says, at a cost that is linear in the rules."""
    tables = [Names.of(table)] if packet.family in _FAMILIES.get(table.family, ()) else []
    node = hook_outcomes(tables, Situation.of(packet))
    if packet.path is not Path.OUT and untracks_before_ip(table):
        node = outcomes.any_of([node, outcomes.marked(node)])
    return Outcome(node.value)


def _decides(table: Table) -> bool:
    """Whether packets meet the table before conntrack: most tables on a host filter or translate, and come later."""
    return any(chain.hook and comes_before_conntrack(chain.hook) for chain in table.chains)


def _protocols_alike(ruleset: Iterable[Table]) -> Iterator[IntervalSet]:
    """All protocols, in sets that no rule can tell apart."""
    words: set[int | None] = set()
    elements: set[Value] = set()
    for table in ruleset:
        for statement in _asking(table):
            words |= {protocol_number(part.protocol) for part in _fields(statement) if isinstance(part, Payload)}
        for types, keys in _questions(table):
            elements |= _of_protocols(types, keys)
    alike: dict[tuple[object, ...], list[Interval]] = defaultdict(list)
    for number in range(256):
        told_apart = (number if number in words else None, *(holds(element, number) for element in elements))
        alike[number in PROTOCOLS_WITH_PORTS, told_apart].append((number, number))
    return map(IntervalSet.of, alike.values())


def _questions(table: Table) -> Iterator[tuple[Sequence[Datatype], Iterable[Element]]]:
    """What the table compares packets with, and the types of it."""
    for statement in _asking(table):
        match statement:
            case Match(selector, AnonymousSet(elements)):
                yield key_types(selector) or (), elements
            case Match(selector, str() | tuple() | Joined() as element):
                yield key_types(selector) or (), (element,)
            case VerdictLookup(selector, AnonymousMap(pairs)):
                yield key_types(selector) or (), (key for key, _ in pairs)
    for named in table.sets:
        yield named_types(named.type), named.elements
    for lookup in table.maps:
        yield named_types(lookup.type), (key for key, _ in lookup.elements)


def _of_protocols(types: Sequence[Datatype], elements: Iterable[Element]) -> set[Value]:
    """Those parts of elements that are protocols."""
    places = [place for place, of in enumerate(types) if of is Datatype.PROTOCOL]
    if not places:
        return set()
    parts = (element.parts if isinstance(element, Joined) else (element,) for element in elements)
    return {part[place] for part in parts for place in places}


def _fields(statement: Match | VerdictLookup) -> Sequence[Payload | Meta | Fib]:
    selector = statement.selector
    return selector.parts if isinstance(selector, Concatenation) else (selector,)


def _asking(table: Table) -> Iterator[Match | VerdictLookup]:
    for chain in table.chains:
        for rule in chain.rules:
            for statement in rule.statements:
                if isinstance(statement, Match | VerdictLookup):
                    yield statement
