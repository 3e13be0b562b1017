"""A change as libnftables commands, in one transaction or several, so that none of them leaves a gap.

What is in tension: a change should write no more than what differs and keep what has been counted, so it is made in
place. But packets meet a table in the middle of being changed, and some changes show them a state that is neither the
old nor the new one, in which a packet is tracked that never should be: under 450,000 packets a second, 1 to 212 for
each transaction in which rules come to ask a new interval set (Linux 6.18, nft 1.0.6).

1. Most changes are elements, or rules, and those the kernel makes without a gap in one transaction (at_once.py).
2. For others a stand-in (stand_in.py) is added first, by a transaction of its own, with the sets that are new. When it
   is there it leaves untracked all that is desired, as the live rules do all that was: then those can be changed in any
   way. When they are the desired ones, the stand-in goes. So in between exactly that is untracked what is before or
   after; and what an entry has counted stays, because its chain does.
3. Many elements of an interval set are not deleted but all of them flushed, and those that stay added again, because
   libnftables needs so long to delete.

After each of the transactions the table is one that the next plan mends, if this one was interrupted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from ctpolicy.nftables.at_once import is_gapless_at_once
from ctpolicy.nftables.change import ChainEdit, Change, Holder, difference
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
from ctpolicy.nftables.ruleset import Other, Set, Table, VerdictMap
from ctpolicy.nftables.stand_in import can_be_copied, stand_in

MOST_DELETED: Final = 8
"""Elements that are deleted one by one from an interval set. For each, libnftables goes through all that are there: of
10,000 prefixes it deletes 10 in 0.1 s, 100 in 0.8 s, 1,000 in 11 s; to flush them and add them all again takes 0.1 s,
and where there are 100,000, no longer than to delete one. A hash set loses 50,000 in 0.3 s (nft 1.0.6)."""


def transactions(live: Table | None, desired: Table | None) -> tuple[Json, ...]:
    """The transactions, as libnftables JSON, that make the one table into the other; none if they are equal."""
    if live == desired:
        return ()
    if desired is not None:
        return transactions_of(difference(live, desired))
    return (removal(live),) if live else ()


def transactions_of(change: Change) -> tuple[Json, ...]:
    """The transactions that make a change, in the order in which they are to be made."""
    if change.rebuilt:  # a dormant table, which leaves nothing untracked, or an object that nobody has a reason to add
        return (load_document(change.table),)
    if is_gapless_at_once(change) or not can_be_copied(change.table):
        return (_document(_in_place(change, {holder.name for holder in change.sets_added})),)
    return _with_stand_in(change)


def _with_stand_in(change: Change) -> tuple[Json, ...]:
    gone = (*change.chains_removed, *change.sets_removed, *change.others_removed)
    taken = {one.name for one in (*gone, *change.table.chains, *change.table.sets, *change.table.maps)}
    replaced = {one.name for one in gone}
    new = [one for one in change.sets_added if isinstance(one, Set) and one.name not in replaced]
    changing = {one.name for one in (*change.sets_added, *change.elements_added, *change.elements_removed)}
    shared = {one.name for one in change.table.sets if one.name not in changing} | {one.name for one in new}
    beside = stand_in(change.table, shared, taken)
    left = {one.name for one in change.sets_added} - {one.name for one in new}
    return (
        _document([*(add_set(change.table, one) for one in new), *_added(beside)]),
        _document(_in_place(change, left)),
        _document(_removed(beside)),
    )


def _document(commands: Iterable[Json]) -> Json:
    return {"nftables": list(commands)}


def _in_place(change: Change, new: Collection[str]) -> Iterator[Json]:
    """Commands in the order of dependence: whatever names something goes before it, and comes after it.

    Args:
        change: that they make.
        new: the names of those sets and maps of `change.sets_added` that are not there yet.
    """
    table = change.table
    hooked = (*change.chains_added, *change.chains_hooked)
    refilled = _refilled(change)
    if change.created:
        yield {"add": {"table": {"family": table.family, "name": table.name}}}
    yield from (_delete_rule(table, edit.chain, rule.handle) for edit in change.edits for rule in edit.removed)
    yield from (_flush(table, "chain", chain.name) for chain in change.chains_removed + change.chains_hooked)
    # Elements leave before others of the same set come: a wider range overlaps the one that it takes the place of.
    yield from (_flush(table, _kind(holder), holder.name) for holder in refilled.values())
    yield from (delete_elements(table, holder) for holder in change.elements_removed if holder.name not in refilled)
    yield from (_delete(table, _kind(holder), holder.name) for holder in change.sets_removed)
    yield from (_delete(table, other.kind, other.name) for other in sorted(change.others_removed, key=_holders_first))
    yield from (_delete(table, "chain", chain.name) for chain in change.chains_removed + change.chains_hooked)
    yield from (add_set(table, one) for one in change.sets_added if isinstance(one, Set) and one.name in new)
    yield from (add_chain(table, chain) for chain in hooked)
    yield from (add_map(table, one) for one in change.sets_added if isinstance(one, VerdictMap))
    yield from (add_rule(table, chain.name, rule) for chain in hooked for rule in chain.rules)
    yield from (add_elements(table, holder) for holder in refilled.values() if holder.elements)
    yield from (add_elements(table, holder) for holder in change.elements_added if holder.name not in refilled)
    yield from (command for edit in change.edits for command in _add_rules(table, edit))


def _refilled(change: Change) -> dict[str, Holder]:
    """The sets and maps that are flushed, with all that is to be in them."""
    many = {one.name for one in change.elements_removed if "interval" in one.flags and len(one.elements) > MOST_DELETED}
    holders: tuple[Holder, ...] = (*change.table.sets, *change.table.maps)
    return {one.name: one for one in holders if one.name in many}


def _added(table: Table) -> Iterator[Json]:
    yield from (add_set(table, one) for one in table.sets)
    yield from (add_chain(table, chain) for chain in table.chains)
    yield from (add_map(table, one) for one in table.maps)
    yield from (add_rule(table, chain.name, rule) for chain in table.chains for rule in chain.rules)


def _removed(table: Table) -> Iterator[Json]:
    yield from (_flush(table, "chain", chain.name) for chain in table.chains)
    yield from (_delete(table, "map", one.name) for one in table.maps)
    yield from (_delete(table, "set", one.name) for one in table.sets)
    yield from (_delete(table, "chain", chain.name) for chain in table.chains)


def removal(table: Table) -> Json:
    """The libnftables JSON that removes the table and all that is in it."""
    return {"nftables": [{"delete": {"table": {"family": table.family, "name": table.name}}}]}


def _kind(holder: Set | VerdictMap) -> str:
    return "set" if isinstance(holder, Set) else "map"


def _named(table: Table, name: str) -> dict[str, Any]:
    return {"family": table.family, "table": table.name, "name": name}


def _delete(table: Table, kind: str, name: str) -> Json:
    return {"delete": {kind: _named(table, name)}}


def _flush(table: Table, kind: str, name: str) -> Json:
    return {"flush": {kind: _named(table, name)}}


def _holders_first(other: Other) -> bool:
    """A map of counters goes before the counters that it names."""
    return other.kind not in {"set", "map"}


def _delete_rule(table: Table, chain: str, handle: int | None) -> Json:
    return {"delete": {"rule": {"family": table.family, "table": table.name, "chain": chain, "handle": handle}}}


def _add_rules(table: Table, edit: ChainEdit) -> list[Json]:
    return [
        add_rule(table, edit.chain, rule)
        if before is None
        else {"insert": {"rule": rule_json(table, edit.chain, rule) | {"handle": before}}}
        for rule, before in edit.added
    ]
