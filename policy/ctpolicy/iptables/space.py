"""What raw tables mean: the exact set of packets that they leave untracked.

Every packet of one path, family and protocol is followed through the rules at once, as a diagram of what may become of
it (netfilter/outcomes.py). Where a rule asks what ctpolicy does not model (a mark, a rate), both ways are followed:
such packets are possibly untracked, and not certainly.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ctpolicy.iptables.conditions import SPECIAL_TO_SETS
from ctpolicy.iptables.following import Known, Names, hook_outcomes, matches_of
from ctpolicy.iptables.render_sets import dimensions
from ctpolicy.iptables.ruleset import InSet, IpSet, Match, Port, Protocol, RawTables
from ctpolicy.netfilter.situations import Situation, treatment_of
from ctpolicy.netfilter.treatment import Treatment, Untracked
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family, protocol_number
from ctpolicy.packetspace.intervals import Interval, IntervalSet


def raw_space(tables: RawTables) -> Untracked:
    """What the raw tables of one variant alone leave untracked."""
    return raw_treatment(tables).untracked


def raw_treatment(tables: RawTables) -> Treatment:
    """What the raw tables of one variant do to every packet."""
    if not any(chain.rules or chain.policy == "DROP" for table in tables.tables.values() for chain in table.chains):
        return Treatment.none()
    names = {family: Names.of(tables, family) for family in Family}
    known: dict[Family, Known] = {family: {} for family in Family}

    def followed(situation: Situation) -> Node:
        return hook_outcomes(names[situation.family], situation, known[situation.family])

    return treatment_of(_protocols_alike(tables), followed)


def _protocols_alike(tables: RawTables) -> Iterator[IntervalSet]:
    """All protocols, in sets that no rule can tell apart."""
    named: set[int | None] = set()
    for table in tables.tables.values():
        for match in matches_of(table):
            named |= _named(match, tables)
    alike: dict[tuple[bool, int | None], list[Interval]] = defaultdict(list)
    for number in range(256):
        alike[number in PROTOCOLS_WITH_PORTS, number if number in named else None].append((number, number))
    return map(IntervalSet.of, alike.values())


def _named(match: Match, tables: RawTables) -> set[int | None]:
    """The protocols that a match tells from others."""
    match match:
        case Protocol(number):
            return {number}
        case Port(module):
            return {protocol_number(module)}
        case InSet(name):
            one = tables.set(name)
            return _of_set(one) if one else set()
    return set()


def _of_set(one: IpSet) -> set[int | None]:
    if "port" not in dimensions(one.type):
        return set()
    return {*SPECIAL_TO_SETS, *(protocol for element in one.elements for protocol in element.protocols)}
