"""A change as libnftables commands, for one transaction.

The order is that of dependence. What is new and names nothing comes first, then what names it; then whatever still
names things that go is taken away, before they go.
"""

from __future__ import annotations

from typing import Any

from ctpolicy.nftables.change import ChainEdit, Change
from ctpolicy.nftables.render_json import (
    Json,
    add_chain,
    add_elements,
    add_map,
    add_rule,
    add_set,
    delete_elements,
    load_document,
    rule_json,
)
from ctpolicy.nftables.ruleset import Chain, Set, Table, VerdictMap


def transaction(change: Change) -> Json:
    """The libnftables JSON that makes the change; it has no commands if there is none."""
    table = change.table
    if change.rebuilt:
        return load_document(table)
    created = [{"add": {"table": {"family": table.family, "name": table.name}}}] if change.created else []
    # Elements leave before others of the same set come: a wider range overlaps the one that it takes the place of.
    return {
        "nftables": [
            *created,
            *(add_set(table, new) for new in change.sets_added if isinstance(new, Set)),
            *(_delete_rule(table, edit.chain, rule.handle) for edit in change.edits for rule in edit.removed),
            *(_flush(table, chain) for chain in change.chains_removed + change.chains_hooked),
            *(_delete(table, "chain", chain.name) for chain in change.chains_hooked),
            *(delete_elements(table, holder) for holder in change.elements_removed),
            *(_delete(table, _kind(holder), holder.name) for holder in change.sets_removed),
            *(_delete(table, "chain", chain.name) for chain in change.chains_removed),
            *(add_chain(table, chain) for chain in change.chains_added + change.chains_hooked),
            *(add_map(table, new) for new in change.sets_added if isinstance(new, VerdictMap)),
            *(
                add_rule(table, chain.name, rule)
                for chain in change.chains_added + change.chains_hooked
                for rule in chain.rules
            ),
            *(add_elements(table, holder) for holder in change.elements_added),
            *(command for edit in change.edits for command in _add_rules(table, edit)),
        ]
    }


def removal(table: Table) -> Json:
    """The libnftables JSON that removes the table and all that is in it."""
    return {"nftables": [{"delete": {"table": {"family": table.family, "name": table.name}}}]}


def _kind(holder: Set | VerdictMap) -> str:
    return "set" if isinstance(holder, Set) else "map"


def _named(table: Table, name: str) -> dict[str, Any]:
    return {"family": table.family, "table": table.name, "name": name}


def _delete(table: Table, kind: str, name: str) -> Json:
    return {"delete": {kind: _named(table, name)}}


def _flush(table: Table, chain: Chain) -> Json:
    return {"flush": {"chain": _named(table, chain.name)}}


def _delete_rule(table: Table, chain: str, handle: int | None) -> Json:
    return {"delete": {"rule": {"family": table.family, "table": table.name, "chain": chain, "handle": handle}}}


def _add_rules(table: Table, edit: ChainEdit) -> list[Json]:
    return [
        add_rule(table, edit.chain, rule)
        if before is None
        else {"insert": {"rule": rule_json(table, edit.chain, rule) | {"handle": before}}}
        for rule, before in edit.added
    ]
