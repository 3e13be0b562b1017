"""All packets of one situation on their way through chains: what may become of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ctpolicy.nftables import outcomes
from ctpolicy.nftables.conditions import Absent, Situation, Unanswered, asked, field_interval, field_values, holds
from ctpolicy.nftables.evaluate import CONNTRACK_PRIORITY
from ctpolicy.nftables.ruleset import (
    BaseHook,
    Chain,
    Counter,
    Element,
    Match,
    Notrack,
    Operand,
    Rule,
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
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import Field

_UNSTABLE: Final = frozenset({"dynamic", "timeout"})
"""Flags of sets whose elements come and go."""

_PLAIN: Final = {
    VerdictKind.ACCEPT: outcomes.END,
    VerdictKind.DROP: outcomes.DROP,
    VerdictKind.CONTINUE: outcomes.NEXT,
    VerdictKind.RETURN: outcomes.RETURN,
}

_WITHOUT_EFFECT: Final = frozenset({"log", "counter", "ct helper", "ct timeout", "ct expectation", "flow"})
"""Unmodelled statements after which the rule goes on, whatever the packet."""

_QUESTIONS: Final = frozenset({"match", "limit", "quota", "ct count", "set", "map", "last", "socket"})
"""Unmodelled statements that let the rule go on or not, and do nothing else to the packet."""


@dataclass(frozen=True, slots=True)
class Names:
    """A table whose objects can be found by name. Sets and maps whose elements come and go are not among them."""

    table: Table
    chains: dict[str, Chain]
    sets: dict[str, Set]
    maps: dict[str, VerdictMap]

    @classmethod
    def of(cls, table: Table) -> Names:
        """A table's objects."""
        return cls(
            table,
            {chain.name: chain for chain in table.chains},
            {named.name: named for named in table.sets if not named.flags & _UNSTABLE},
            {named.name: named for named in table.maps if not named.flags & _UNSTABLE},
        )


def hook_outcomes(tables: Iterable[Names], situation: Situation) -> Node:
    """What may become of packets in a situation, once every base chain before conntrack has seen them."""
    hook = "output" if situation.path is Path.OUT else "prerouting"
    entered: list[tuple[int, str, Node]] = []
    for names in tables:
        way = _Way(names, situation)
        for chain in names.table.chains:
            match chain.hook:
                case BaseHook(hook=at, priority=priority, policy=policy) if (
                    at == hook and priority < CONNTRACK_PRIORITY
                ):
                    entered.append((priority, chain.name, outcomes.entered(way.chain(chain.name), policy == "drop")))
    entered.sort(key=lambda chain: chain[:2])
    return outcomes.sequence([node for _, _, node in entered])


class _Way:
    """The way of packets in one situation through one table."""

    def __init__(self, names: Names, situation: Situation) -> None:
        self._names = names
        self._situation = situation
        self._chains: dict[str, Node] = {}
        self._verdicts: dict[Verdict, Node] = {}

    def chain(self, name: str) -> Node:
        """What may become of packets that enter a chain."""
        if name not in self._names.chains:
            return outcomes.ANYTHING  # a dump that was cut
        if name not in self._chains:
            self._chains[name] = outcomes.ANYTHING  # for a chain that leads to itself, which the kernel refuses
            self._chains[name] = outcomes.sequence([self._rule(rule) for rule in self._names.chains[name].rules])
        return self._chains[name]

    def _rule(self, rule: Rule) -> Node:
        node = outcomes.NEXT
        for statement in reversed(rule.statements):
            node = self._statement(statement, node)
        return node

    def _statement(self, statement: Statement, then: Node) -> Node:
        """A statement, and what comes after it in the rule."""
        match statement:
            case Counter():
                return then
            case Notrack():
                return outcomes.marked(then)
            case Verdict():
                return self._verdict(statement)
            case VerdictLookup():
                return self._lookup(statement)
            case Match():
                return self._match(statement, then)
            case Unmodelled(text):
                return _unmodelled(text, then)

    def _verdict(self, verdict: Verdict) -> Node:
        if verdict not in self._verdicts:
            leads = {VerdictKind.JUMP: outcomes.jumped, VerdictKind.GOTO: outcomes.gone_to}.get(verdict.kind)
            plain = _PLAIN.get(verdict.kind, outcomes.ANYTHING)
            self._verdicts[verdict] = leads(self.chain(verdict.chain or "")) if leads else plain
        return self._verdicts[verdict]

    def _match(self, match: Match, then: Node) -> Node:
        """`then` for packets whose field is in the operand, and the next rule for others."""
        about = asked(match.selector, self._situation)
        elements = self._elements(match.operand)
        if isinstance(about, Absent):
            return outcomes.NEXT
        if isinstance(about, Unanswered) or elements is None:
            return outcomes.doubted(then)
        if isinstance(about, Field):
            values = field_values(elements, about)
            if values is None:
                return outcomes.doubted(then)
            inside, outside = (outcomes.NEXT, then) if match.negated else (then, outcomes.NEXT)
            return outcomes.choose(about, [(values, inside)], outside)
        answers = {any(holds(element, value) for element in elements) is not match.negated for value in about}
        return outcomes.any_of(then if answer else outcomes.NEXT for answer in answers)

    def _elements(self, operand: Operand) -> Sequence[Element] | None:
        if not isinstance(operand, SetReference):
            return (operand,)
        return self._names.sets[operand.name].elements if operand.name in self._names.sets else None

    def _lookup(self, lookup: VerdictLookup) -> Node:
        """What the map has for the packet's field; the next rule if it has nothing."""
        about = asked(lookup.selector, self._situation)
        if lookup.map not in self._names.maps:
            return outcomes.ANYTHING
        pairs = self._names.maps[lookup.map].elements
        if isinstance(about, Absent):
            return outcomes.NEXT
        if isinstance(about, Unanswered):
            return outcomes.any_of([outcomes.NEXT, *(self._verdict(verdict) for _, verdict in pairs)])
        if isinstance(about, Field):
            return self._field_lookup(about, pairs)
        found = [[verdict for element, verdict in pairs if holds(element, value)] for value in about]
        return outcomes.any_of(self._verdict(verdicts[0]) if verdicts else outcomes.NEXT for verdicts in found)

    def _field_lookup(self, field: Field, pairs: Iterable[tuple[Element, Verdict]]) -> Node:
        branches: list[tuple[IntervalSet, Node]] = []
        for element, verdict in pairs:
            interval = field_interval(element, field)
            if interval is None:
                return outcomes.ANYTHING
            branches.append((IntervalSet((interval,)), self._verdict(verdict)))
        return outcomes.choose(field, branches, outcomes.NEXT)


def _unmodelled(text: str, then: Node) -> Node:
    """A statement that ctpolicy does not model; most may do anything to the packet, or to where it goes."""
    word = next(iter(json.loads(text)))
    if word in _WITHOUT_EFFECT:
        return then
    if word in _QUESTIONS or (word == "mangle" and '"payload"' not in text):
        return outcomes.doubted(then)
    return outcomes.ANYTHING
