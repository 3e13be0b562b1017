"""All packets of one situation on their way through chains: what may become of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.situations import Situation
from ctpolicy.nftables.conditions import (
    Absent,
    Known,
    One,
    Unanswered,
    asked,
    field_interval,
    field_values,
    holds,
    membership,
)
from ctpolicy.nftables.evaluate import CONNTRACK_PRIORITY
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
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
from ctpolicy.nftables.unmodelled import unmodelled
from ctpolicy.packetspace.description import values_of
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING, union
from ctpolicy.packetspace.universe import FOREST, Field

_UNSTABLE: Final = frozenset({"dynamic", "timeout"})
"""Flags of sets whose elements come and go."""

_PLAIN: Final = {
    VerdictKind.ACCEPT: outcomes.END,
    VerdictKind.DROP: outcomes.DROP,
    VerdictKind.CONTINUE: outcomes.NEXT,
    VerdictKind.RETURN: outcomes.RETURN,
}


@dataclass(frozen=True, slots=True)
class Names:
    """A table whose objects can be found by name. Sets and maps whose elements come and go are not among them.

    `settled` keeps what becomes of packets by verdicts that do the same in every situation, once it is known.
    """

    table: Table
    chains: dict[str, Chain]
    sets: dict[str, Set]
    maps: dict[str, VerdictMap]
    settled: dict[Verdict, Node] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, table: Table) -> Names:
        """A table's objects."""
        filled = set(_filled_by_rules(table))
        return cls(
            table,
            {chain.name: chain for chain in table.chains},
            {named.name: named for named in table.sets if not named.flags & _UNSTABLE and named.name not in filled},
            {named.name: named for named in table.maps if not named.flags & _UNSTABLE and named.name not in filled},
        )

    @property
    def may_sleep(self) -> bool:
        """Whether the table has flags, of which `dormant` takes its chains from their hooks."""
        return any(other.kind == "flags" for other in self.table.others)


def _filled_by_rules(table: Table) -> Iterator[str]:
    """Sets that rules add to: nft 1.0.6 leaves the flag `dynamic` out of its JSON."""
    for chain in table.chains:
        for rule in chain.rules:
            for statement in rule.statements:
                if isinstance(statement, Unmodelled):
                    match json.loads(statement.json):
                        case {"set": {"set": str(name)}} | {"map": {"map": str(name)}} | {"meter": {"name": str(name)}}:
                            yield name.removeprefix("@")


def comes_before_conntrack(hook: BaseHook) -> bool:
    """Whether a base chain decides about tracking: elsewhere, and later, the kernel takes a `notrack` in silence."""
    return hook.hook in {"prerouting", "output"} and hook.priority < CONNTRACK_PRIORITY


class BaseChain(NamedTuple):
    """A base chain that packets meet before conntrack."""

    priority: int
    name: str
    drops: bool


def base_chains(names: Names, path: Path) -> Iterator[BaseChain]:
    """A table's base chains that packets of a path meet before conntrack, in no order."""
    hook = "output" if path is Path.OUT else "prerouting"
    for chain in names.table.chains:
        match chain.hook:
            case BaseHook(hook=at) as base if at == hook and comes_before_conntrack(base):
                yield BaseChain(base.priority, chain.name, base.policy == "drop")


Identity = Callable[[str], Hashable]
"""What chains that are the same have in common, by their names."""


def hook_outcomes(tables: Iterable[Names], situation: Situation) -> Node:
    """What may become of packets in a situation, once every base chain before conntrack has seen them."""
    return _entered(((names, _Way(names, situation, EVERYTHING, str, {})) for names in tables), situation)


def hook_outcomes_within(
    names: Names, situation: Situation, within: Node, identity: Identity, followed: dict[Hashable, Node]
) -> Node:
    """The same of one table, and of some packets; of others, what is said may be anything.

    Args:
        names: the table.
        situation: of the packets.
        within: the packets.
        identity: of the table's chains.
        followed: what has become of the same packets in chains, this table's or another's.
    """
    return _entered([(names, _Way(names, situation, within, identity, followed))], situation)


def _entered(ways: Iterable[tuple[Names, _Way]], situation: Situation) -> Node:
    entered: list[tuple[int, str, Node]] = []
    for names, way in ways:
        for priority, name, drops in base_chains(names, situation.path):
            node = outcomes.entered(way.chain(name), drops)
            entered.append((priority, name, outcomes.doubted(node) if names.may_sleep else node))
    entered.sort(key=lambda chain: chain[:2])
    return outcomes.sequence([node for _, _, node in entered])


class _Way:
    """The way of packets in one situation through one table; elements that none of them has are left out."""

    def __init__(
        self, names: Names, situation: Situation, within: Node, identity: Identity, followed: dict[Hashable, Node]
    ) -> None:
        self._names = names
        self._within = within
        self._values: dict[Field, IntervalSet] = {}
        self._situation = situation
        self._identity = identity
        self._chains = followed
        self._verdicts: dict[Verdict, Node] = {}
        self._matches: dict[tuple[Match, Node], Node] = {}

    def chain(self, name: str) -> Node:
        """What may become of packets that enter a chain."""
        if name not in self._names.chains:
            return outcomes.ANYTHING  # a dump that was cut
        key = self._identity(name)
        if key not in self._chains:
            self._chains[key] = outcomes.ANYTHING  # for a chain that leads to itself, which the kernel refuses
            self._chains[key] = outcomes.sequence([self._rule(rule) for rule in self._names.chains[name].rules])
        return self._chains[key]

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
                key = (statement, then)  # thousands of entries ask for the peers that they share, and go on alike
                if key not in self._matches:
                    self._matches[key] = self._match(statement, then)
                return self._matches[key]
            case Unmodelled(text):
                return unmodelled(text, then)

    def _verdict(self, verdict: Verdict) -> Node:
        settled = self._names.settled.get(verdict)
        if settled is not None:
            return settled
        if verdict not in self._verdicts:
            leads = {VerdictKind.JUMP: outcomes.jumped, VerdictKind.GOTO: outcomes.gone_to}.get(verdict.kind)
            plain = _PLAIN.get(verdict.kind, outcomes.ANYTHING)
            known = self._names.settled if self._is_settled(verdict.chain) else self._verdicts
            known[verdict] = self._led(leads, verdict) if leads else plain
            return known[verdict]
        return self._verdicts[verdict]

    def _led(self, leads: Callable[[Node], Node], verdict: Verdict) -> Node:
        chain = verdict.chain or ""
        if chain not in self._names.chains:
            return leads(self.chain(chain))
        key = (verdict.kind, self._identity(chain))
        if key not in self._chains:
            self._chains[key] = leads(self.chain(chain))
        return self._chains[key]

    def _is_settled(self, name: str | None) -> bool:
        """Whether a chain asks nothing, so that it does the same in every situation: an entry's does."""
        if name is None or name not in self._names.chains:
            return name is None
        statements = (statement for rule in self._names.chains[name].rules for statement in rule.statements)
        return all(isinstance(s, Counter | Notrack) or (isinstance(s, Verdict) and not s.chain) for s in statements)

    def _match(self, match: Match, then: Node) -> Node:
        """`then` for packets whose field is in the operand, and the next rule for others."""
        about = asked(match.selector, self._situation)
        elements = self._elements(match.operand)
        if isinstance(about, Absent):
            return outcomes.NEXT
        if isinstance(about, Unanswered) or elements is None:
            return outcomes.doubted(then)
        if isinstance(about, tuple | Known):
            inside, outside = (outcomes.NEXT, then) if match.negated else (then, outcomes.NEXT)
            members = membership(elements, about if isinstance(about, tuple) else (about,))
            maybe = outcomes.where(members.possibly, outcomes.doubted(then), outside)
            return outcomes.where(members.certainly, inside, maybe)
        if isinstance(about, Field):
            values = field_values(elements, about)
            if values is None:
                return outcomes.doubted(then)
            inside, outside = (outcomes.NEXT, then) if match.negated else (then, outcomes.NEXT)
            return outcomes.choose(about, [(values & self._met(about), inside)], outside)
        answers = {any(holds(element, value) for element in elements) is not match.negated for value in about}
        return outcomes.any_of(then if answer else outcomes.NEXT for answer in answers)

    def _elements(self, operand: Operand) -> Sequence[Element] | None:
        if isinstance(operand, AnonymousSet):
            return operand.elements
        if not isinstance(operand, SetReference):
            return (operand,)
        return self._names.sets[operand.name].elements if operand.name in self._names.sets else None

    def _lookup(self, lookup: VerdictLookup) -> Node:
        """What the map has for the packet's field; the next rule if it has nothing."""
        about = asked(lookup.selector, self._situation)
        pairs = self._pairs(lookup.map)
        if pairs is None:
            return outcomes.ANYTHING
        if isinstance(about, Absent):
            return outcomes.NEXT
        if isinstance(about, Unanswered):
            return outcomes.any_of([outcomes.NEXT, *(self._verdict(verdict) for _, verdict in pairs)])
        if isinstance(about, Field):
            return self._field_lookup(about, pairs)
        if isinstance(about, tuple | Known):
            return self._joined_lookup(about if isinstance(about, tuple) else (about,), pairs)
        found = [[verdict for element, verdict in pairs if holds(element, value)] for value in about]
        nodes = [self._verdict(verdict) for verdicts in found for verdict in verdicts]
        return outcomes.any_of(nodes if all(found) else [*nodes, outcomes.NEXT])

    def _pairs(self, name: str | AnonymousMap) -> Sequence[tuple[Element, Verdict]] | None:
        if isinstance(name, AnonymousMap):
            return name.elements
        return self._names.maps[name].elements if name in self._names.maps else None

    def _field_lookup(self, field: Field, pairs: Sequence[tuple[Element, Verdict]]) -> Node:
        branches: list[tuple[IntervalSet, Node]] = []
        met = self._met(field)
        for element, verdict in pairs:
            interval = field_interval(element, field)
            if interval is None:
                return outcomes.ANYTHING
            if met.meets(interval):
                branches.append((IntervalSet((interval,)), self._verdict(verdict)))
        intervals = sorted(values.intervals[0] for values, _ in branches)
        if any(one[1] >= other[0] for one, other in pairwise(intervals)):  # a catch-all: `* : drop`
            return self._joined_lookup((field,), pairs)
        return outcomes.choose(field, branches, outcomes.NEXT)

    def _met(self, field: Field) -> IntervalSet:
        """The values of a field that the packets asked about have."""
        if field not in self._values:
            self._values[field] = values_of(self._within, field)
        return self._values[field]

    def _joined_lookup(self, about: Sequence[One], pairs: Iterable[tuple[Element, Verdict]]) -> Node:
        """What the map has for several fields. Where elements overlap, any of them may be the one found."""
        found: list[Node] = []
        known = NOTHING
        for element, verdict in pairs:
            members = membership([element], about)
            if members.possibly is NOTHING:
                continue  # most elements, if one packet is followed
            known = union(FOREST, known, members.certainly)
            found.append(outcomes.where(members.possibly, self._verdict(verdict), NOTHING))
        return outcomes.any_of([*found, outcomes.where(known, NOTHING, outcomes.NEXT)])
