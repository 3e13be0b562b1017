"""Somebody else's tables: what they do to packets, and which of their rules say `notrack`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ctpolicy.netfilter.foreign import Foreign, ForeignBypass
from ctpolicy.netfilter.owners import Owner, owner
from ctpolicy.nftables.following import comes_before_conntrack
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.ruleset import Chain, Notrack, Rule, Ruleset, Table
from ctpolicy.nftables.space import ruleset_treatment, table_space

_Place = tuple[str, Owner | None]
"""A chain's name, and whose rules."""


def foreign(ruleset: Ruleset, with_ours: bool = False) -> Foreign:
    """What all tables but ours do; with ours, where it is another backend's to whoever asks."""
    others = tuple(table for table in ruleset if with_ours or (table.family, table.name) != (TABLE_FAMILY, TABLE_NAME))
    return Foreign(ruleset_treatment(others), tuple(bypass for table in others for bypass in foreign_bypasses(table)))


def foreign_bypasses(table: Table) -> Iterator[ForeignBypass]:
    """The `notrack` rules of one table. What a group of them does is what the table does without all the others."""
    if not any(chain.hook and comes_before_conntrack(chain.hook) for chain in table.chains):
        return
    title = f"table {table.family} {table.name}"
    places = dict.fromkeys(_place(table, chain, rule) for chain in table.chains for rule in chain.rules if _says(rule))
    for place in places:
        chain, whose = place
        untracked = table_space(_keeping(table, place))
        if untracked.possibly:
            yield ForeignBypass(f"{title}, chain {chain}", whose, untracked)
    rest = table_space(_keeping(table, None))  # of rules that ctpolicy does not model, and that may say it too
    if rest.possibly:
        yield ForeignBypass(title, owner(table.family, table.name), rest)


def _place(table: Table, chain: Chain, rule: Rule) -> _Place:
    return chain.name, owner(table.family, table.name, chain.name, rule.comment)


def _says(rule: Rule) -> bool:
    return any(isinstance(statement, Notrack) for statement in rule.statements)


def _keeping(table: Table, kept: _Place | None) -> Table:
    """The table with only this place's `notrack`s, or with none."""

    def without(chain: Chain, rule: Rule) -> Rule:
        if not _says(rule) or (kept is not None and _place(table, chain, rule) == kept):
            return rule
        return replace(rule, statements=tuple(s for s in rule.statements if not isinstance(s, Notrack)))

    chains = (replace(chain, rules=tuple(without(chain, rule) for rule in chain.rules)) for chain in table.chains)
    return replace(table, chains=tuple(chains))
