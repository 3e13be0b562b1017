"""What is ours of what is live: our chains, our ipsets, and our jumps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ctpolicy.iptables.ours import BUILT_IN, CHAIN_PREFIX, set_prefix
from ctpolicy.iptables.ruleset import Chain, RawTable, RawTables, Rule, UnmodelledTarget, Variant, Verdict

SOMEBODY_ELSE: Final = Rule((), UnmodelledTarget("somebody else's"))
"""Stands for each rule of others before a jump of ours, so that a jump that does not come first is seen."""


def own_part(live: RawTables, variant: Variant = Variant.LEGACY) -> RawTables | None:
    """The part of live tables that is ours; None if nothing is. Equal to what was compiled if that is in force."""
    tables = {family: own for family, table in live.tables.items() if (own := RawTable(tuple(_own(table)))).chains}
    sets = tuple(one for one in live.sets if one.name.startswith(set_prefix(variant)))
    return RawTables(tables, sets) if tables or sets else None


def _own(table: RawTable) -> Iterator[Chain]:
    for chain in table.chains:
        if chain.name in BUILT_IN:
            if jumps := tuple(_jumps(chain.rules)):
                yield Chain(chain.name, jumps, "ACCEPT")
        elif chain.name.startswith(CHAIN_PREFIX):
            yield chain


def _jumps(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Our jumps, and a place for each rule before one of them."""
    others = 0
    for rule in rules:
        if is_our_jump(rule):
            yield from [SOMEBODY_ELSE] * others
            yield rule
            others = 0
        else:
            others += 1


def is_our_jump(rule: Rule) -> bool:
    """Whether a rule leads to a chain of ours."""
    return isinstance(rule.target, Verdict) and (rule.target.chain or "").startswith(CHAIN_PREFIX)
