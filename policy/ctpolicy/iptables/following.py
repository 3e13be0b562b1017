"""All packets of one situation on their way through the raw table: what may become of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.iptables.conditions import Absent, Asked, Circumstances, Within, asked
from ctpolicy.iptables.destinations import MULTICAST, Kind, is_of, kinds, multicast_kinds
from ctpolicy.iptables.ruleset import (
    AddressType,
    Chain,
    End,
    IpSet,
    Match,
    Notrack,
    RawTable,
    RawTables,
    Rule,
    Target,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)
from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.situations import Situation
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING
from ctpolicy.packetspace.universe import FOREST, Field

_PLAIN: Final = {
    VerdictKind.ACCEPT: outcomes.END,
    VerdictKind.DROP: outcomes.DROP,
    VerdictKind.RETURN: outcomes.RETURN,
}

_MARKED: Final = outcomes.marked(outcomes.NEXT)

_WITHOUT_EFFECT: Final = frozenset(
    {
        *("LOG", "NFLOG", "ULOG", "AUDIT", "TRACE", "LED", "IDLETIMER", "RATEEST", "TEE", "SET"),
        *("MARK", "HMARK", "CLASSIFY", "SECMARK", "DSCP", "TOS", "ECN", "TTL", "HL"),
        *("CONNMARK", "CONNSECMARK"),  # before conntrack there is no entry yet that they could ask or mark
    }
)
"""Targets after which the next rule is asked, whatever the packet, and that do not decide about tracking."""


@dataclass(frozen=True, slots=True)
class Names:
    """One family's table, whose objects can be found by name. Sets whose elements are not known, or come and go by
    rules, are not among them."""

    family: Family
    chains: dict[str, Chain]
    sets: dict[str, IpSet]
    destination_types: dict[str, frozenset[frozenset[str]]]

    @classmethod
    def of(cls, tables: RawTables, family: Family) -> Names:
        """A family's table and the sets."""
        filled = set(filled_by_rules(tables))
        table = tables.tables.get(family, RawTable())
        return cls(
            family,
            {chain.name: chain for chain in table.chains},
            {one.name: one for one in tables.sets if not one.unmodelled and one.name not in filled},
            {name: frozenset(_destination_types(table, name)) for name in ("PREROUTING", "OUTPUT")},
        )


def _destination_types(table: RawTable, built_in: str) -> Iterator[frozenset[str]]:
    """What is asked of destinations, in this chain and all that it leads to."""
    chains = {chain.name: chain for chain in table.chains}
    waiting, seen = [built_in], {built_in}
    while waiting:
        chain = chains.get(waiting.pop())
        for rule in chain.rules if chain else ():
            if isinstance(rule.target, Verdict) and rule.target.chain and rule.target.chain not in seen:
                seen.add(rule.target.chain)
                waiting.append(rule.target.chain)
            for match in rule.matches:
                if isinstance(match, AddressType) and match.end is End.DESTINATION:
                    yield match.types


def matches_of(table: RawTable) -> Iterator[Match]:
    """Every match of a table."""
    return (match for chain in table.chains for rule in chain.rules for match in rule.matches)


def filled_by_rules(tables: RawTables) -> Iterator[str]:
    """Sets that rules add to or take from: `-j SET --add-set NAME src`."""
    for table in tables.tables.values():
        for chain in table.chains:
            for rule in chain.rules:
                if isinstance(rule.target, UnmodelledTarget) and rule.target.text.startswith("-j SET "):
                    yield from rule.target.text.split()


Known = dict[tuple[bool, int, frozenset[frozenset[str]]], Node]
"""What has become of packets of one family: by whether they are made here, protocol, and what holds of their
destination. In prerouting the paths in and forward differ in nothing else."""


def hook_outcomes(names: Names, situation: Situation, known: Known) -> Node:
    """What may become of packets in a situation, once the raw table has seen them.

    Args:
        names: the family's table.
        situation: of the packets.
        known: from other situations, in which the same is known of the packets' other fields; added to.
    """

    def of_kinds(some: tuple[Kind, ...]) -> Node:
        """Of destinations that may be of any of these kinds. Kinds that no rule tells apart are followed together."""
        alike = {
            frozenset(
                types for types in names.destination_types[_hook(situation)] if is_of(kind, types, names.family)
            ): kind
            for kind in some
        }
        keys = {(situation.path is Path.OUT, situation.protocol, types): kind for types, kind in alike.items()}
        for key, kind in keys.items():
            if key not in known:
                known[key] = _Way(names, Circumstances(situation, kind, names.sets)).hook()
        return outcomes.any_of(known[key] for key in keys)

    ordinary = of_kinds(kinds(situation.path, situation.family))
    multicast = of_kinds(multicast_kinds(situation.path, situation.family))
    if multicast is ordinary:
        return ordinary
    to_multicast = FOREST.box({Field.DESTINATION: MULTICAST[situation.family]}, EVERYTHING, NOTHING)
    return outcomes.where(to_multicast, multicast, ordinary)


def _hook(situation: Situation) -> str:
    return "OUTPUT" if situation.path is Path.OUT else "PREROUTING"


class _Way:
    """The way of packets in the same circumstances through one table."""

    def __init__(self, names: Names, known: Circumstances) -> None:
        self._names = names
        self._known = known
        self._chains: dict[str, Node] = {}
        self._verdicts: dict[Verdict, Node] = {}
        self._matched: dict[tuple[Within, bool, Node], Node] = {}

    def hook(self) -> Node:
        """The built-in chain."""
        name = _hook(self._known.situation)
        chain = self._names.chains.get(name)
        return outcomes.entered(self._chain(name), chain.policy == "DROP") if chain else outcomes.NEXT

    def _chain(self, name: str) -> Node:
        """What may become of packets that enter a chain."""
        if name not in self._names.chains:
            return outcomes.ANYTHING  # a dump that was cut
        if name not in self._chains:
            self._chains[name] = outcomes.ANYTHING  # for a chain that leads to itself, which the kernel refuses
            self._chains[name] = outcomes.sequence([self._rule(rule) for rule in self._names.chains[name].rules])
        return self._chains[name]

    def _rule(self, rule: Rule) -> Node:
        questions = [(asked(match, self._known), getattr(match, "negated", False)) for match in rule.matches]
        # Before the target: where it leads are, of a protocol that has none of it, thousands of chains for nothing.
        if any(isinstance(about, Absent) or about is negated for about, negated in questions):
            return outcomes.NEXT
        node = self._target(rule.target)
        # All have to hold, in whatever order: from the field that is asked last, so that each is one node above it.
        for about, negated in sorted(questions, key=_depth, reverse=True):
            if node is outcomes.NEXT:
                break
            node = self._where(about, negated, node)
        return node

    def _where(self, about: Asked, negated: bool, then: Node) -> Node:
        if not isinstance(about, Within):
            return _where(about, negated, then)
        key = (about, negated, then)  # thousands of rules ask for the peers that entries share, and go on alike
        if key not in self._matched:
            self._matched[key] = _where(about, negated, then)
        return self._matched[key]

    def _target(self, target: Target | None) -> Node:
        match target:
            case None:
                return outcomes.NEXT
            case Notrack():
                return _MARKED
            case Verdict():
                return self._verdict(target)
            case UnmodelledTarget(text):
                return _unmodelled(text)

    def _verdict(self, verdict: Verdict) -> Node:
        if verdict not in self._verdicts:
            leads = {VerdictKind.JUMP: outcomes.jumped, VerdictKind.GOTO: outcomes.gone_to}.get(verdict.kind)
            self._verdicts[verdict] = leads(self._chain(verdict.chain or "")) if leads else _PLAIN[verdict.kind]
        return self._verdicts[verdict]


def _depth(question: tuple[Asked, bool]) -> int:
    return question[0].field if isinstance(question[0], Within) else -1


def _where(about: Asked, negated: bool, then: Node) -> Node:
    """`then` for the packets that are meant, and the next rule for others."""
    if about is None:
        return outcomes.doubted(then)
    if isinstance(about, bool | Absent):
        return then  # of all packets here: a rule that is about none of them has been left out
    inside, outside = (outcomes.NEXT, then) if negated else (then, outcomes.NEXT)
    if isinstance(about, Within):
        return outcomes.choose(about.field, [(about.values, inside)], outside)
    maybe = outcomes.where(about.possibly, outcomes.doubted(then), outside)
    return outcomes.where(about.certainly, inside, maybe)


def _unmodelled(text: str) -> Node:
    """A target that ctpolicy does not model; most may do anything to the packet, or to where it goes."""
    word = text.split()[1] if " " in text else text
    if word in _WITHOUT_EFFECT:
        return outcomes.NEXT
    if word == "CT":
        # A zone, a helper, events, and even a bare `-j CT`: the packet gets a template, unless it has been decided
        # already, and a later notrack is ignored (xt_ct_target).
        return outcomes.settled(outcomes.NEXT)
    return outcomes.ANYTHING
