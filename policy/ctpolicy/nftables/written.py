"""Our table as text that can be kept and read back: what snapshots and saved plans hold.

It is libnftables' JSON, in the form in which `nft -j list table` prints a table, so that a reader of listings reads it
and people with nft alone can load it by hand once each object stands in an `add`. What ctpolicy does not model is in
it as well, so that what comes back is equal to what was written; `lost` says what the kernel cannot be given again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from ctpolicy.errors import InputError
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import Json, add_table
from ctpolicy.nftables.ruleset import Other, Rule, Table, Unmodelled


def written(table: Table) -> str:
    """A table as text, with its counters and without its handles, which belong to one kernel."""
    objects = [command["add"] for command in add_table(table)]
    return json.dumps({"nftables": objects + [_other_json(table, other) for other in table.others]})


def read_written(text: str) -> Table:
    """The inverse.

    Raises:
        InputError: it is no such text, or not of our table alone.
    """
    match read_text(text):
        case (Table(family, name) as table,) if (family, name) == (TABLE_FAMILY, TABLE_NAME):
            return table
    raise InputError(f"This is not the table {TABLE_FAMILY} {TABLE_NAME} alone, as ctpolicy writes it.")


def lost(table: Table) -> Iterator[str]:
    """What could not be made again once it is gone, because a listing does not tell it or ctpolicy does not keep it."""
    for other in table.others:
        yield f"the {other.kind} {other.name} of the table" if other.kind == "flags" else f"{other.kind} {other.name}"
    for chain in table.chains:
        for number, rule in enumerate(chain.rules, 1):
            if _is_of_iptables(rule):
                yield f"rule {number} of chain {chain.name}, which iptables-nft made"


def restorable(table: Table) -> Table:
    """The table without what could not be made again."""
    chains = (
        replace(chain, rules=tuple(rule for rule in chain.rules if not _is_of_iptables(rule))) for chain in table.chains
    )
    return replace(table, chains=tuple(chains), others=())


def _is_of_iptables(rule: Rule) -> bool:
    """Whether iptables-nft made the rule, of which nft lists no more than that."""
    return any(isinstance(one, Unmodelled) and one.json.startswith('{"xt":') for one in rule.statements)


def _other_json(table: Table, other: Other) -> Json:
    """An object that is known by its kind and name alone, as the reader finds it."""
    if other.kind == "flags":
        return {"table": {"family": table.family, "name": table.name, "flags": other.name}}
    unknown = {"set": {"type": "unknown"}, "map": {"type": "unknown", "map": "unknown"}}.get(other.kind, {})
    return {other.kind: {"family": table.family, "table": table.name, "name": other.name} | unknown}
