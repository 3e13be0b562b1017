"""The ways by which packets come to an entry's chain, so that an entry whose rules change can be told from others.

A way is what is asked on it: selectors, elements, the contents of sets, and the hook where it begins. The names of
chains and maps in between are no part of it, because they change when an entry beside this one does.
"""

from __future__ import annotations

from collections import defaultdict

from ctpolicy.netfilter.backend import ROLES, EntryKey
from ctpolicy.nftables.ruleset import Match, Rule, SetReference, Statement, Table, Verdict, VerdictLookup


def entry_of_chain(chain: str) -> EntryKey | None:
    """The entry for which a chain of this name counts and decides; None if it is no such chain."""
    role, underscore, name = chain.partition("_")
    return (role, name) if underscore and role in ROLES else None


def entry_chains(table: Table) -> dict[EntryKey, str]:
    """The chains that count and decide for entries."""
    return {key: chain.name for chain in table.chains if (key := entry_of_chain(chain.name))}


def entry_ways(table: Table) -> dict[EntryKey, int]:
    """A fingerprint for each entry of its rule and of every way to it; comparable in this process only."""
    ways = _Ways(table)
    rules = {chain.name: chain.rules for chain in table.chains}
    return {key: hash((rules[chain], ways.of(chain))) for key, chain in entry_chains(table).items()}


class _Ways:
    def __init__(self, table: Table) -> None:
        self._hooks = {chain.name: chain.hook for chain in table.chains if chain.hook}
        self._sets = {named.name: hash(named.elements) for named in table.sets}
        self._into: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._known: dict[str, int] = {}
        maps = {named.name: named.elements for named in table.maps}
        for chain in table.chains:
            for rule in chain.rules:
                asked = self._asked(rule)
                for statement in rule.statements:
                    match statement:
                        case Verdict(_, str(target)):
                            self._into[target].append((chain.name, asked))
                        case VerdictLookup(_, str(name)):
                            for element, verdict in maps.get(name, ()):
                                if verdict.chain:
                                    self._into[verdict.chain].append((chain.name, hash((asked, element))))

    def of(self, chain: str) -> int:
        """A fingerprint of every way to a chain."""
        if chain not in self._known:
            self._known[chain] = 0  # a loop, which the kernel refuses, must not be one here
            came = frozenset((asked, self.of(origin)) for origin, asked in self._into[chain])
            self._known[chain] = hash((self._hooks.get(chain), came))
        return self._known[chain]

    def _asked(self, rule: Rule) -> int:
        return hash(tuple(self._without_names(statement) for statement in rule.statements))

    def _without_names(self, statement: Statement) -> object:
        match statement:
            case Match(selector, SetReference(name), negated):
                return selector, self._sets.get(name), negated
            case VerdictLookup(selector, _):
                return selector
            case Verdict(kind, str()):
                return kind.name in {"JUMP", "GOTO"}
        return statement
