"""All packets of one situation on their way through the raw table: what may become of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.iptables.conditions import Absent, Circumstances, Within, asked
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
    destination_types: frozenset[frozenset[str]]

    @classmethod
    def of(cls, tables: RawTables, family: Family) -> Names:
        """A family's table and the sets."""
        filled = set(filled_by_rules(tables))
        table = tables.tables.get(family, RawTable())
        return cls(
            family,
            {chain.name: chain for chain in table.chains},
            {one.name: one for one in tables.sets if not one.unmodelled and one.name not in filled},
            frozenset(_destination_types(table)),
        )


def _destination_types(table: RawTable) -> Iterator[frozenset[str]]:
    for match in matches_of(table):
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


def hook_outcomes(names: Names, situation: Situation) -> Node:
    """What may become of packets in a situation, once the raw table has seen them."""
    known: dict[frozenset[frozenset[str]], Node] = {}

    def of_kinds(some: tuple[Kind, ...]) -> Node:
        """Of destinations that may be of any of these kinds. Kinds that no rule tells apart are followed together."""
        alike = {
            frozenset(types for types in names.destination_types if is_of(kind, types, names.family)): kind
            for kind in some
        }
        for types, kind in alike.items():
            if types not in known:
                known[types] = _Way(names, Circumstances(situation, kind, names.sets)).hook()
        return outcomes.any_of(known[types] for types in alike)

    ordinary = of_kinds(kinds(situation.path, situation.family))
    multicast = of_kinds(multicast_kinds(situation.path, situation.family))
    if multicast is ordinary:
        return ordinary
    to_multicast = FOREST.box({Field.DESTINATION: MULTICAST[situation.family]}, EVERYTHING, NOTHING)
    return outcomes.where(to_multicast, multicast, ordinary)


class _Way:
    """The way of packets in the same circumstances through one table."""

    def __init__(self, names: Names, known: Circumstances) -> None:
        self._names = names
        self._known = known
        self._chains: dict[str, Node] = {}
        self._verdicts: dict[Verdict, Node] = {}

    def hook(self) -> Node:
        """The built-in chain."""
        name = "OUTPUT" if self._known.situation.path is Path.OUT else "PREROUTING"
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
        node = self._target(rule.target)
        for match in reversed(rule.matches):
            if node is outcomes.NEXT:
                break
            node = self._match(match, node)
        return node

    def _target(self, target: Target | None) -> Node:
        match target:
            case None:
                return outcomes.NEXT
            case Notrack():
                return outcomes.marked(outcomes.NEXT)
            case Verdict():
                return self._verdict(target)
            case UnmodelledTarget(text):
                return _unmodelled(text)

    def _verdict(self, verdict: Verdict) -> Node:
        if verdict not in self._verdicts:
            leads = {VerdictKind.JUMP: outcomes.jumped, VerdictKind.GOTO: outcomes.gone_to}.get(verdict.kind)
            self._verdicts[verdict] = leads(self._chain(verdict.chain or "")) if leads else _PLAIN[verdict.kind]
        return self._verdicts[verdict]

    def _match(self, match: Match, then: Node) -> Node:
        """`then` for the packets that are meant, and the next rule for others."""
        about = asked(match, self._known)
        negated = getattr(match, "negated", False)
        if about is None:
            return outcomes.doubted(then)
        if isinstance(about, Absent):
            return outcomes.NEXT
        if isinstance(about, bool):
            return outcomes.NEXT if about is negated else then
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
