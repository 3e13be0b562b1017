"""Which packets come to a rule, as far as hooks, jumps and interfaces tell: every `notrack` of a table, and from where.

This leaves out all other questions that rules ask, so it finds too many arrivals and never too few: a rule that no
packet comes to by this reading is met by none.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from ctpolicy.netfilter.situations import Situation
from ctpolicy.nftables.conditions import Asked, asked, field_interval, field_values, holds
from ctpolicy.nftables.following import Names
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    BaseHook,
    Chain,
    Element,
    Match,
    Meta,
    Notrack,
    Rule,
    Selector,
    Set,
    SetReference,
    Statement,
    Table,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
    VerdictMap,
)
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.universe import Field

_ANY: Final = IntervalSet.full(INTERFACE_BITS)
_NO: Final = IntervalSet()
_JUMPS: Final = frozenset({VerdictKind.JUMP, VerdictKind.GOTO})
_INTERFACES: Final = frozenset({"iif", "iifname", "oif", "oifname"})

BEFORE_IP: Final = frozenset({("netdev", "ingress"), ("inet", "ingress"), ("bridge", "prerouting")})
"""Hooks, with the family of their table, that come before all those of IP. What is untracked there stays so (measured
on Linux 6.18), and which packets that are is not followed."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Packets that come to a rule from one base chain.

    Args:
        base: the base chain's name.
        hook: where the kernel enters it.
        interfaces: those by which the packets come in; at output, by which they go out.
    """

    base: str
    hook: BaseHook
    interfaces: IntervalSet


@dataclass(frozen=True, slots=True)
class NotrackRule:
    """A rule that says `notrack`, and from where packets come to it; from nowhere if `arrivals` is empty.

    Args:
        chain: the rule's.
        number: the rule's in its chain, from 1.
        rule: itself.
        arrivals: one for each base chain that leads to it.
    """

    chain: str
    number: int
    rule: Rule
    arrivals: tuple[Arrival, ...]


def notrack_rules(table: Table) -> list[NotrackRule]:
    """Every rule of a table that says `notrack`, chain by chain."""
    said = [
        (chain, number, rule)
        for chain in table.chains
        for number, rule in enumerate(chain.rules, 1)
        if Notrack() in rule.statements
    ]
    if not said:
        return []
    names = Names.of(table)
    bases = [(chain.name, chain.hook, _Walk(names, chain, chain.hook).met) for chain in table.chains if chain.hook]
    return [NotrackRule(chain.name, number, rule, _arrivals(bases, chain.name, number)) for chain, number, rule in said]


def untracks_before_ip(table: Table) -> bool:
    """Whether the table may leave packets untracked before any hook of IP sees them."""
    if not any(chain.hook and (table.family, chain.hook.hook) in BEFORE_IP for chain in table.chains):
        return False
    arrivals = (arrival for said in notrack_rules(table) for arrival in said.arrivals)
    return any((table.family, arrival.hook.hook) in BEFORE_IP for arrival in arrivals)


_Met = dict[tuple[str, int], IntervalSet]
"""Interfaces of the packets that come to the `notrack` of a rule, by the rule's chain and number."""


def _arrivals(bases: Iterable[tuple[str, BaseHook, _Met]], chain: str, number: int) -> tuple[Arrival, ...]:
    found = ((base, hook, met.get((chain, number), _NO)) for base, hook, met in bases)
    return tuple(Arrival(base, hook, interfaces) for base, hook, interfaces in found if interfaces)


class _Walk:
    """The ways through a table from one base chain. A chain is walked again when more interfaces come to it."""

    def __init__(self, names: Names, base: Chain, hook: BaseHook) -> None:
        self.met: _Met = {}
        self._names = names
        # Only the path matters here: whether it is the incoming or the outgoing interface that rules can ask for.
        self._situation = Situation(Path.OUT if hook.hook == "output" else Path.IN, Family.IPV4, 17)
        self._asks_interfaces = hook.hook in {"prerouting", "output"}
        self._reached: dict[str, IntervalSet] = {base.name: _ANY}
        self._waiting = {base.name: None}
        while self._waiting:
            self._chain(self._names.chains[self._waiting.popitem()[0]])

    def _chain(self, chain: Chain) -> None:
        for number, rule in enumerate(chain.rules, 1):
            interfaces = self._reached[chain.name]
            for statement in rule.statements:
                if isinstance(statement, Match):
                    interfaces = self._matched(statement, interfaces)
                if isinstance(statement, Notrack):
                    self.met[chain.name, number] = self.met.get((chain.name, number), _NO) | interfaces
                for target, through in self._leads(statement, interfaces):
                    self._enter(target, through)

    def _enter(self, chain: str, interfaces: IntervalSet) -> None:
        before = self._reached.get(chain, _NO)
        after = before | interfaces
        if after != before and chain in self._names.chains:
            self._reached[chain] = after
            self._waiting[chain] = None

    def _matched(self, match: Match, interfaces: IntervalSet) -> IntervalSet:
        """The interfaces of packets for which the rule goes on."""
        elements = self._elements(match)
        if elements is None or not self._is_about_interfaces(match.selector):
            return interfaces
        if self._asked(match.selector) is Field.INTERFACE:
            values = field_values(elements, Field.INTERFACE)
            if values is None:
                return interfaces
            return interfaces & (values.complement(INTERFACE_BITS) if match.negated else values)
        # The other hook's interface, which is an empty name here.
        return interfaces if any(holds(element, "") for element in elements) is not match.negated else _NO

    def _is_about_interfaces(self, selector: Selector | None) -> TypeGuard[Meta]:
        return self._asks_interfaces and isinstance(selector, Meta) and selector.key in _INTERFACES

    def _asked(self, selector: Selector) -> Asked:
        return asked(selector, self._situation)

    def _elements(self, match: Match) -> Sequence[Element] | None:
        match match.operand:
            case AnonymousSet(elements):
                return elements
            case SetReference(name):
                named: Set | None = self._names.sets.get(name)
                return None if named is None else named.elements
            case element:
                return (element,)

    def _leads(self, statement: Statement, interfaces: IntervalSet) -> Iterator[tuple[str, IntervalSet]]:
        """Chains to which a statement may send packets, and the interfaces of those."""
        match statement:
            case Verdict(kind, str(chain)) if kind in _JUMPS:
                yield chain, interfaces
            case VerdictLookup(selector, AnonymousMap(pairs)):
                yield from self._looked_up(selector, pairs, interfaces)
            case VerdictLookup(selector, str(name)):
                yield from self._named(name, selector, interfaces)
            case Unmodelled(text):
                for chain, name in _targets(json.loads(text)):
                    yield from [(chain, interfaces)] if chain else self._named(name, None, interfaces)

    def _named(
        self, name: str, selector: Selector | None, interfaces: IntervalSet
    ) -> Iterator[tuple[str, IntervalSet]]:
        found: VerdictMap | None = self._names.maps.get(name)
        if found is not None:
            yield from self._looked_up(selector, found.elements, interfaces)
        else:  # a map whose elements come and go, or are not modelled: it may lead anywhere
            yield from ((chain, interfaces) for chain in self._names.chains)

    def _looked_up(
        self, selector: Selector | None, pairs: Iterable[tuple[Element, Verdict]], interfaces: IntervalSet
    ) -> Iterator[tuple[str, IntervalSet]]:
        narrows = self._is_about_interfaces(selector) and self._asked(selector) is Field.INTERFACE
        asked_by_chain: dict[str, list[Interval]] = defaultdict(list)
        for element, verdict in pairs:
            if verdict.chain is not None:
                interval = field_interval(element, Field.INTERFACE) if narrows else None
                asked_by_chain[verdict.chain] += _ANY if interval is None else (interval,)
        for chain, intervals in asked_by_chain.items():
            yield chain, interfaces & IntervalSet.of(intervals)


def _targets(value: Any) -> Iterator[tuple[str, str]]:
    """Chains that a statement which is not modelled jumps to, or maps that it asks: (chain, "") or ("", map)."""
    match value:
        case {"jump": {"target": str(chain)}} | {"goto": {"target": str(chain)}}:
            yield chain, ""
        case {"vmap": {"data": str(name)}}:
            yield "", name.removeprefix("@")
        case dict():
            for inner in value.values():
                yield from _targets(inner)
        case list():
            for inner in value:
                yield from _targets(inner)
