"""Somebody else's rules in the raw tables: what they do to packets, and which of them say `notrack`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ctpolicy.iptables.ours import CHAIN_PREFIX
from ctpolicy.iptables.ruleset import Chain, Notrack, RawTable, RawTables, Rule, Variant, Verdict
from ctpolicy.iptables.space import raw_space, raw_treatment
from ctpolicy.netfilter.foreign import Foreign, ForeignBypass
from ctpolicy.netfilter.owners import IPTABLES_NFT, Owner, owner
from ctpolicy.packetspace.fields import Family

_FAMILY_WORDS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}

_Place = tuple[str, Owner | None]
"""A chain's name, and whose rules."""


def foreign(tables: RawTables, variant: Variant, with_ours: bool = False) -> Foreign:
    """What all rules but ours do; with ours, where they are another backend's to whoever asks."""
    others = tables if with_ours else without_ours(tables)
    return Foreign(raw_treatment(others), tuple(foreign_bypasses(others, variant)))


def without_ours(tables: RawTables) -> RawTables:
    """The tables as they would be without our chains and what leads to them."""
    return replace(tables, tables={family: _without_ours(table) for family, table in tables.tables.items()})


def _without_ours(table: RawTable) -> RawTable:
    return RawTable(
        tuple(
            replace(chain, rules=tuple(rule for rule in chain.rules if not _leads_to_us(rule)))
            for chain in table.chains
            if not chain.name.startswith(CHAIN_PREFIX)
        )
    )


def _leads_to_us(rule: Rule) -> bool:
    return isinstance(rule.target, Verdict) and (rule.target.chain or "").startswith(CHAIN_PREFIX)


def foreign_bypasses(tables: RawTables, variant: Variant) -> Iterator[ForeignBypass]:
    """The `notrack` rules. What a group of them does is what the table does without all the others."""
    for family, table in tables.tables.items():
        title = f"{'iptables' if family is Family.IPV4 else 'ip6tables'}-{variant.value} raw"
        alone = replace(tables, tables={family: table})
        places = dict.fromkeys(
            _place(family, chain, rule) for chain in table.chains for rule in chain.rules if _says(rule)
        )
        for place in places:
            untracked = raw_space(_keeping(alone, family, place))
            if untracked.possibly:
                yield ForeignBypass(f"{title}, chain {place[0]}", place[1], untracked)
        rest = raw_space(
            _keeping(alone, family, None)
        )  # of rules that ctpolicy does not model, and that may say it too
        if rest.possibly:
            yield ForeignBypass(title, None, rest)


def _place(family: Family, chain: Chain, rule: Rule) -> _Place:
    """A table of iptables belongs to everybody, so that whose the rule is only its chain or its comment can tell."""
    whose = owner(_FAMILY_WORDS[family], "raw", chain.name, rule.comment)
    return chain.name, None if whose is IPTABLES_NFT else whose


def _says(rule: Rule) -> bool:
    return isinstance(rule.target, Notrack)


def _keeping(tables: RawTables, family: Family, kept: _Place | None) -> RawTables:
    """One family's table with only this place's `notrack`s, or with none."""

    def without(chain: Chain, rule: Rule) -> Rule:
        if not _says(rule) or (kept is not None and _place(family, chain, rule) == kept):
            return rule
        return replace(rule, target=None)

    chains = (
        replace(chain, rules=tuple(without(chain, rule) for rule in chain.rules))
        for chain in tables.tables[family].chains
    )
    return replace(tables, tables={family: RawTable(tuple(chains))})
