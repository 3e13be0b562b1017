"""Plans for programs, by schemas/plan-v1.schema.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ctpolicy.nftables.change import Change, Holder
from ctpolicy.nftables.render_text import chain_lines, element_lines, rule_text
from ctpolicy.nftables.ruleset import Set
from ctpolicy.plan.plan import EntryChange, Plan
from ctpolicy.plan.standing import others_json
from ctpolicy.plan.traffic import shifts_json

Json = dict[str, Any]


def plan_json(plan: Plan) -> Json:
    """The plan as one object."""
    return {
        "apiVersion": "ctpolicy.plan/v1",
        "policy": plan.policy,
        "backend": "nftables",
        "pending": bool(plan),
        "entries": [_entry_json(entry) for entry in plan.entries],
        "traffic": shifts_json(plan.traffic),
        "foreign": others_json(plan.others),
        "objects": list(_objects(plan)),
        "transaction": plan.document(),
    }


def _entry_json(entry: EntryChange) -> Json:
    return {"name": entry.name, "role": entry.role, "change": entry.turn.name.lower()}


def _objects(plan: Plan) -> Iterator[Json]:
    if plan.change is not None:
        if plan.change.created or plan.change.rebuilt:
            yield _object("table", plan.change.table.name, "added" if plan.change.created else "rebuilt", [], [])
        yield from _changed_objects(plan.change)
    elif plan and plan.live is not None:
        yield _object("table", plan.live.name, "removed", [], [])


def _changed_objects(change: Change) -> Iterator[Json]:
    for holder in change.sets_added:
        yield _object(_kind(holder), holder.name, "added", element_lines(holder), [])
    for holder in change.sets_removed:
        yield _object(_kind(holder), holder.name, "removed", [], element_lines(holder))
    for chain in change.chains_added + change.chains_hooked:
        yield _object("chain", chain.name, "added", chain_lines(chain), [])
    for chain in change.chains_removed:
        yield _object("chain", chain.name, "removed", [], chain_lines(chain))
    for other in change.others_removed:
        yield _object(other.kind, other.name, "removed", [], [])
    for holder in change.elements_added:
        yield _object(_kind(holder), holder.name, "changed", element_lines(holder), [])
    for holder in change.elements_removed:
        yield _object(_kind(holder), holder.name, "changed", [], element_lines(holder))
    for edit in change.edits:
        added, removed = (rule for rule, _ in edit.added), edit.removed
        yield _object("chain", edit.chain, "changed", map(rule_text, added), map(rule_text, removed))


def _kind(holder: Holder) -> str:
    return "set" if isinstance(holder, Set) else "map"


def _object(kind: str, name: str, change: str, added: Any, removed: Any) -> Json:
    lines = {"added": [line.strip() for line in added], "removed": [line.strip() for line in removed]}
    return {"kind": kind, "name": name, "change": change} | lines
