"""Why chains of ours do not, or not wholly, do their work."""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.iptables.objects import TOOLS
from ctpolicy.iptables.ours import BUILT_IN, chain_of, jump
from ctpolicy.iptables.own import SOMEBODY_ELSE
from ctpolicy.iptables.ruleset import InSet, RawTable, RawTables, Variant


def faults(live: RawTables | None, variant: Variant) -> Iterator[str]:
    """What is wrong with them; nothing if they are in force."""
    if live is None or not live.tables:
        yield f"there are no chains of ours in the raw tables of iptables-{variant.value}: nothing has been applied"
        return
    for family, table in live.tables.items():
        for fault in _table_faults(table):
            yield f"{TOOLS[family]}-{variant.value}: {fault}"
        missing = {match.name for match in _sets_asked(table)} - {one.name for one in live.sets}
        for name in sorted(missing):
            yield f"{TOOLS[family]}-{variant.value}: there is no ipset {name}"


def _table_faults(table: RawTable) -> Iterator[str]:
    for built_in in BUILT_IN:
        jumps = chain.rules if (chain := table.chain(built_in)) else ()
        own = table.chain(chain_of(built_in))
        if own is None and not jumps:
            continue
        if own is None:
            yield f"there is no chain {chain_of(built_in)}"
        elif not own.rules:
            yield f"chain {own.name} has no rules"
        if not jumps:
            yield f"{built_in} does not jump to {chain_of(built_in)}"
        elif jumps[0] == SOMEBODY_ELSE:
            yield (
                f"others' rules come before the jump from {built_in} to {chain_of(built_in)}: what they accept or drop "
                "never comes to ours"
            )
        elif jumps != (jump(built_in),):
            yield f"{built_in} jumps to chains of ours more than once, or otherwise than ctpolicy does"


def _sets_asked(table: RawTable) -> Iterator[InSet]:
    return (m for chain in table.chains for rule in chain.rules for m in rule.matches if isinstance(m, InSet))
