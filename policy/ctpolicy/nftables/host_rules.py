"""Tables of nftables in the form of hazards/rules.py: the whole host, but for our own table.

What iptables-nft keeps is read from its own listing where there is one: nft shows of its rules that they translate, and
not to where, and of most of its matches the name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ctpolicy.hazards import rules
from ctpolicy.hazards.rules import Base, HostRules, Step, policy_step
from ctpolicy.netfilter.owners import owner, table_title
from ctpolicy.nftables.host_lookups import Lookups
from ctpolicy.nftables.host_steps import steps_of
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.rule_words import rule_words
from ctpolicy.nftables.ruleset import FLAGS, BaseHook, Chain, Rule, Ruleset, Table
from ctpolicy.packetspace.fields import Family

_FAMILIES: Final = {
    "ip": frozenset({Family.IPV4}),
    "ip6": frozenset({Family.IPV6}),
    "inet": frozenset(Family),
}
_HOOKS: Final = {hook.value: hook for hook in rules.Hook}


def host_rules(ruleset: Ruleset, shown_elsewhere: Iterable[tuple[str, str]] = ()) -> HostRules:
    """All tables but ours, and but those, by family and name, that another listing shows better."""
    left_out = {(TABLE_FAMILY, TABLE_NAME), *shown_elsewhere}
    tables = [table for table in ruleset if (table.family, table.name) not in left_out]
    followed = tuple(_table(table) for table in tables if table.family in _FAMILIES)
    return HostRules(followed, tuple(title for table in tables for title in _unwalked(table)))


def _unwalked(table: Table) -> Iterable[str]:
    """What has rules at hooks that the walk does not come to."""
    for chain in table.chains:
        is_elsewhere = table.family not in _FAMILIES or (chain.hook is not None and chain.hook.hook not in _HOOKS)
        if is_elsewhere and chain.hook is not None and (chain.rules or chain.hook.policy == "drop"):
            yield f"{table_title(table.family, table.name)}, chain {chain.name} (hook {chain.hook.hook})"


def _table(table: Table) -> rules.Table:
    lookups = Lookups(table)
    chains = {chain.name: _chain(table, chain, lookups) for chain in table.chains}
    title = table_title(table.family, table.name)
    return rules.Table(title, _FAMILIES[table.family], chains, any(other.kind == FLAGS for other in table.others))


def _chain(table: Table, chain: Chain, lookups: Lookups) -> rules.Chain:
    steps: list[Step] = []
    for number, rule in enumerate(chain.rules, start=1):
        steps += steps_of(lookups, rule, chain.name, _told(table, chain, rule, number))
    hook = chain.hook
    base = _base(table, chain, hook) if hook is not None and hook.hook in _HOOKS else None
    return rules.Chain(chain.name, tuple(steps), base)


def _base(table: Table, chain: Chain, hook: BaseHook) -> Base:
    policy = _told(table, chain, Rule(()), 0, f"policy {hook.policy}")
    is_nat, drops = hook.type == "nat", hook.policy == "drop"
    return Base(_HOOKS[hook.hook], hook.priority, is_nat, policy_step(policy, drops=drops))


def _told(table: Table, chain: Chain, rule: Rule, number: int, text: str | None = None) -> rules.Rule:
    whose = owner(table.family, table.name, chain.name, rule.comment)
    words = rule_words(rule) if text is None else text
    name = whose.name if whose else ""
    return rules.Rule(words, "nft", table.family, table.name, chain.name, number, rule.handle, name)
