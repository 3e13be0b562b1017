"""Somebody else's tables that keep packets from staying untracked: they drop them, or give them to a conntrack zone.

An `accept` does not, for it ends only the chain that says it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ctpolicy.netfilter.foreign import title_of
from ctpolicy.netfilter.owners import owner
from ctpolicy.netfilter.shadow import ALL_UNTRACKED, Decider, Shadow
from ctpolicy.nftables.evaluate import Tracer
from ctpolicy.nftables.following import comes_before_conntrack
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.render_text import rule_text
from ctpolicy.nftables.ruleset import Chain, Ruleset, Table
from ctpolicy.nftables.space import ruleset_treatment
from ctpolicy.packetspace.packet import Packet


def shadows(ruleset: Ruleset) -> Iterator[Shadow]:
    """What each base chain of each table but ours keeps from us."""
    for table in ruleset:
        if (table.family, table.name) != (TABLE_FAMILY, TABLE_NAME):
            yield from _of_table(table)


def _of_table(table: Table) -> Iterator[Shadow]:
    for chain in table.chains:
        if chain.hook and comes_before_conntrack(chain.hook):
            alone = _alone(table, chain)
            untracked = (ruleset_treatment((alone,)) & ALL_UNTRACKED).untracked
            yield Shadow.of(untracked, _Deciders(alone, chain).decider)


def _alone(table: Table, kept: Chain) -> Table:
    """The table with only one of its base chains on its hook."""
    chains = (chain if chain is kept else replace(chain, hook=None) for chain in table.chains)
    return replace(table, chains=tuple(chains))


class _Deciders:
    """Finds the rule of a table that decided a packet."""

    def __init__(self, table: Table, base: Chain) -> None:
        self._table = table
        self._base = base
        self._tracer = Tracer(table)

    def decider(self, packet: Packet) -> Decider:
        """Where the packet's way ends; the base chain, where a rule asks on the way what is not modelled."""
        way = self._tracer.trace(packet)
        if way.untracked is None or not way.steps:
            return self._place(self._base.name, None), ""
        step = way.steps[-1]
        return self._place(step.chain, step.rule.comment), rule_text(step.rule)

    def _place(self, chain: str, comment: str | None) -> str:
        table = self._table
        whose = owner(table.family, table.name, chain, comment)
        return title_of(f"table {table.family} {table.name}, chain {chain}", whose)
