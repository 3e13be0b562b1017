"""Which chains, rules, sets and maps of two tables are the same, whatever they are called.

Each gets a number, and equal numbers mean equal contents all the way down: rules with the sets and maps that they ask
and the chains that they lead to. Numbers stand for the contents themselves (each is given once, to what was compared
with `==`), so that no hash can mistake one thing for another. Counters and comments are no part of it.
"""

from __future__ import annotations

from collections.abc import Hashable

from ctpolicy.nftables.following import Names
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    Counter,
    Match,
    Rule,
    SetReference,
    Statement,
    Verdict,
    VerdictLookup,
)

Numbers = dict[Hashable, int]
"""What has been numbered; one for the two tables that are compared."""


class Contents:
    """The contents of one table by number.

    Args:
        names: the table.
        numbers: those given so far, to this table and others.
    """

    def __init__(self, names: Names, numbers: Numbers) -> None:
        self.names = names
        self._numbers = numbers
        self._chains: dict[str, int] = {}
        self._holders: dict[tuple[str, str], int] = {}

    def chain(self, name: str) -> int:
        """The number of a chain's rules."""
        if name not in self._chains:
            # For a chain that leads to itself, which the kernel refuses: the same as nothing else.
            self._chains[name] = self._number(object())
            found = self.names.chains.get(name)
            rules = None if found is None else tuple(map(self.rule, found.rules))
            self._chains[name] = self._number(("chain", rules))
        return self._chains[name]

    def rule(self, rule: Rule) -> int:
        """The number of a rule's statements."""
        return self._number(("rule", tuple(map(self.statement, effective(rule)))))

    def statement(self, statement: Statement) -> Hashable:
        """A statement with numbers in place of names."""
        match statement:
            case Match(selector, SetReference(name), negated):
                return selector, self._set(name), negated
            case VerdictLookup(selector, str(name)):
                return selector, self._map(name)
            case VerdictLookup(selector, AnonymousMap(pairs)):
                return selector, tuple((element, self.verdict(verdict)) for element, verdict in pairs)
            case Verdict():
                return self.verdict(statement)
        return statement

    def verdict(self, verdict: Verdict) -> Hashable:
        """A verdict with a number in place of the chain that it leads to."""
        return verdict if verdict.chain is None else (verdict.kind, self.chain(verdict.chain))

    def _set(self, name: str) -> int:
        if ("set", name) not in self._holders:
            found = self.names.sets.get(name)
            self._holders["set", name] = self._number(("set", found and found.elements))
        return self._holders["set", name]

    def _map(self, name: str) -> int:
        if ("map", name) not in self._holders:
            found = self.names.maps.get(name)
            pairs = found and tuple((element, self.verdict(verdict)) for element, verdict in found.elements)
            self._holders["map", name] = self._number(("map", pairs))
        return self._holders["map", name]

    def _number(self, contents: Hashable) -> int:
        return self._numbers.setdefault(contents, len(self._numbers))


def effective(rule: Rule) -> tuple[Statement, ...]:
    """A rule's statements but for those that only count."""
    return tuple(statement for statement in rule.statements if not isinstance(statement, Counter))


def shape(rule: Rule) -> Hashable:
    """What a rule asks and does, without the values that it asks for and the chains that it leads to."""
    return tuple(map(_shape, effective(rule)))


def _shape(statement: Statement) -> Hashable:
    match statement:
        case Match(selector, _, negated):
            return selector, negated
        case VerdictLookup(selector, _):
            return selector
        case Verdict(kind, _):
            return kind
    return statement
