"""The sets, maps and chains of one table, as its rules are read into the form of hazards/rules.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ctpolicy.nftables.following import Names
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    Element,
    Operand,
    Rule,
    SetReference,
    Table,
    Unmodelled,
    Verdict,
    VerdictLookup,
)


class Lookups:
    """A table whose sets and maps can be looked up while its rules are read."""

    def __init__(self, table: Table) -> None:
        self.names = Names.of(table)
        self._leads = {chain.name: set(self._static_targets(chain.rules)) for chain in table.chains}

    def may_lead_to(self, chain: str) -> Iterator[str]:
        """The chains that a map which is not known may send packets of a chain to: none that leads back there."""
        before = self._leading_to(chain)
        for name, found in self.names.chains.items():
            if found.hook is None and name not in before:
                yield name

    def _leading_to(self, chain: str) -> set[str]:
        """A chain, and all from which packets come there."""
        callers: dict[str, list[str]] = {}
        for name, targets in self._leads.items():
            for target in targets:
                callers.setdefault(target, []).append(name)
        found, left = {chain}, [chain]
        while left:
            new = set(callers.get(left.pop(), ())) - found
            found |= new
            left += new
        return found

    def _static_targets(self, rules: Sequence[Rule]) -> Iterator[str]:
        for rule in rules:
            for statement in rule.statements:
                match statement:
                    case Verdict(_, str(target)):
                        yield target
                    case VerdictLookup(_, named):
                        yield from (verdict.chain for _, verdict in self.pairs(named) or () if verdict.chain)
                    case Unmodelled(text):
                        yield from verdict_targets(json.loads(text))

    def elements(self, operand: Operand) -> Sequence[Element] | None:
        """The right side of a match; None for a set whose elements come and go."""
        if isinstance(operand, AnonymousSet):
            return operand.elements
        if isinstance(operand, SetReference):
            named = self.names.sets.get(operand.name)
            return named.elements if named else None
        return (operand,)

    def pairs(self, found: str | AnonymousMap) -> Sequence[tuple[Element, Verdict]] | None:
        """A verdict map, its catch-all last; None for one whose elements come and go, or that is not modelled."""
        if isinstance(found, str):
            named = self.names.maps.get(found)
            pairs = named.elements if named else None
        else:
            pairs = found.elements
        return None if pairs is None else sorted(pairs, key=lambda pair: pair[0] == "*")


def verdict_targets(value: Any) -> Iterator[str]:
    """The chains that verdicts somewhere in an expression lead to."""
    match value:
        case {"jump": {"target": str(chain)}} | {"goto": {"target": str(chain)}}:
            yield chain
        case dict():
            for inner in value.values():
                yield from verdict_targets(inner)
        case list():
            for inner in value:
                yield from verdict_targets(inner)
