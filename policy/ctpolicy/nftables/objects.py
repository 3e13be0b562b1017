"""A change of our table, object by object, in the order in which people read it."""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.netfilter.backend import ObjectChange, Turn
from ctpolicy.nftables.change import Change, Holder
from ctpolicy.nftables.render_text import chain_lines, element_lines, rule_text
from ctpolicy.nftables.ruleset import Chain, Set


def changed_objects(change: Change) -> Iterator[ObjectChange]:
    """What a change does to each object."""
    turn = Turn.ADDED if change.created else Turn.REBUILT if change.rebuilt else Turn.CHANGED
    yield ObjectChange("table", f"{change.table.family} {change.table.name}", turn)
    for other in change.others_removed:
        yield ObjectChange(other.kind, other.name, Turn.REMOVED)
    for holder in change.sets_removed:
        yield _holder(holder, Turn.REMOVED, removed=True)
    for chain in change.chains_removed:
        yield ObjectChange("chain", chain.name, Turn.REMOVED, removed=_lines(chain))
    for holder in change.sets_added:
        yield _holder(holder, Turn.ADDED)
    for holder, gone in _element_changes(change):
        yield _holder(holder, Turn.CHANGED, removed=gone)
    for chain in (*change.chains_hooked, *change.chains_added):
        yield ObjectChange("chain", chain.name, Turn.ADDED, added=_lines(chain))
    for edit in change.edits:
        added = (rule_text(rule) for rule, _ in edit.added)
        yield ObjectChange("chain", edit.chain, Turn.CHANGED, added=added, removed=map(rule_text, edit.removed))


def _element_changes(change: Change) -> list[tuple[Holder, bool]]:
    changes = [(holder, True) for holder in change.elements_removed] + [(h, False) for h in change.elements_added]
    return sorted(changes, key=lambda change: (change[0].name, not change[1]))


def _holder(holder: Holder, turn: Turn, removed: bool = False) -> ObjectChange:
    kind = "set" if isinstance(holder, Set) else "map"
    lines = element_lines(holder)
    size = len(holder.elements)
    if removed:
        return ObjectChange(kind, holder.name, turn, size, removed=lines)
    return ObjectChange(kind, holder.name, turn, size, added=lines)


def _lines(chain: Chain) -> Iterator[str]:
    return (line.expandtabs(4) for line in chain_lines(chain))
