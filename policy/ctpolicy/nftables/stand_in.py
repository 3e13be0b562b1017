"""A second table's worth of rules inside our own, which leaves untracked what is desired while the first is changed.

It is made of the desired table: base chains of its own at the same hooks, and all that they lead to, under names that
nothing else has. Whatever the kernel does to the first's objects, these do the same all the time; and `notrack` in
either is enough. What is large is not copied: sets that do not change, or that are new, are asked by both.

The copies count nothing, so no packet is counted twice; and without their counters the chains of all entries of one
role are one chain.

It stands in our own table, not in another one: if ctpolicy dies before it takes the stand-in away, then it is read,
planned about and removed like any other object that the policy does not mean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import count
from typing import Final

from ctpolicy.nftables.change import Holder
from ctpolicy.nftables.ours import OWNER_CHAIN
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    Chain,
    Counter,
    Match,
    Rule,
    SetReference,
    Statement,
    Table,
    Unmodelled,
    Verdict,
    VerdictLookup,
    VerdictMap,
)

PREFIX: Final = "stand_in_"
"""With this the names begin; none that is compiled does: those of entries and groups have no underscore."""


def can_be_copied(table: Table) -> bool:
    """Whether ctpolicy knows all that the table does. Not so with one that somebody edited and that is put back."""
    holders: tuple[Holder, ...] = (*table.sets, *table.maps)
    statements = (statement for chain in table.chains for rule in chain.rules for statement in rule.statements)
    return not (
        table.others
        or any(holder.unmodelled for holder in holders)
        or any(isinstance(statement, Unmodelled) for statement in statements)
    )


def stand_in(desired: Table, shared: Collection[str], taken: Iterable[str]) -> Table:
    """The objects that stand in for a table's, all of them new.

    Args:
        desired: that table.
        shared: the names of those of its sets that need no copy.
        taken: names that are not free; one stand-in may have been left behind when another is made.
    """
    return _Copy(desired, shared, _free_prefix(taken)).table()


def _free_prefix(taken: Iterable[str]) -> str:
    # Numbers, not the names that they stand for, because those can be nearly as long as nft takes.
    used = {name.removeprefix(PREFIX).partition("_")[0] for name in taken if name.startswith(PREFIX)}
    return next(f"{PREFIX}{number}_" for number in count(1) if str(number) not in used)


class _Copy:
    def __init__(self, desired: Table, shared: Collection[str], prefix: str) -> None:
        self._desired = desired
        self._sets = [one for one in desired.sets if one.name not in shared]
        names = [*(one.name for one in self._sets), *(one.name for one in desired.maps)]
        self._holders = {name: f"{prefix}{number}" for number, name in enumerate(names, 1)}
        self._chains: dict[str, str] = {}
        of_rules: dict[tuple[Rule, ...], str] = {}
        for chain in self._copied():
            own = f"{prefix}{chain.name}" if chain.hook else f"{prefix}{len(of_rules) + 1}"
            alike = () if chain.hook else tuple(map(_without_counters, chain.rules))
            self._chains[chain.name] = own if chain.hook else of_rules.setdefault(alike, own)

    def table(self) -> Table:
        """The copies, sorted by name."""
        chains = {self._chains[chain.name]: chain for chain in self._copied()}
        return Table(
            self._desired.family,
            self._desired.name,
            tuple(replace(chains[name], name=name, rules=self._rules(chains[name])) for name in sorted(chains)),
            tuple(sorted((replace(one, name=self._holders[one.name]) for one in self._sets), key=lambda one: one.name)),
            tuple(sorted(map(self._map, self._desired.maps), key=lambda one: one.name)),
        )

    def _copied(self) -> Iterable[Chain]:
        return (chain for chain in self._desired.chains if chain.name != OWNER_CHAIN)

    def _rules(self, chain: Chain) -> tuple[Rule, ...]:
        return tuple(
            Rule(tuple(map(self._statement, _without_counters(rule).statements)), rule.comment) for rule in chain.rules
        )

    def _map(self, one: VerdictMap) -> VerdictMap:
        elements = tuple((element, self._verdict(verdict)) for element, verdict in one.elements)
        return replace(one, name=self._holders[one.name], elements=elements)

    def _verdict(self, verdict: Verdict) -> Verdict:
        return replace(verdict, chain=self._chains[verdict.chain]) if verdict.chain else verdict

    def _statement(self, statement: Statement) -> Statement:
        match statement:
            case Verdict():
                return self._verdict(statement)
            case Match(_, SetReference(name)):
                return replace(statement, operand=SetReference(self._holders.get(name, name)))
            case VerdictLookup(_, AnonymousMap(elements)):
                return replace(statement, map=AnonymousMap(tuple((key, self._verdict(v)) for key, v in elements)))
            case VerdictLookup(_, str(name)):
                return replace(statement, map=self._holders[name])
        return statement


def _without_counters(rule: Rule) -> Rule:
    return Rule(tuple(statement for statement in rule.statements if not isinstance(statement, Counter)), rule.comment)
