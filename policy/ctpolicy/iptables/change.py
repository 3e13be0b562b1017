"""What lies between two states of what is ours, in an order that leaves no gap.

The families' tables and the ipsets cannot change in one transaction. So a change has three parts:

1. **Widen.** New ipsets are made and filled. What is added to a set of bypass rules is added, and what leaves a set
   of track rules is deleted: at this point the old rules leave untracked what they did, and more.
2. **Rules.** Each family's table changes in one transaction. Old and new rules both leave untracked, with the widened
   sets, at least what they are to.
3. **Narrow.** What leaves a set of bypass rules is deleted, what is new to a set of track rules is added, and sets
   that nobody asks any longer are destroyed.

So a packet that is untracked before and after is untracked all the time, at the price that another may be untracked
for the moment between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ctpolicy.errors import HostError
from ctpolicy.iptables.ours import BUILT_IN, is_of_tracks, swapped_in_by
from ctpolicy.iptables.own import SOMEBODY_ELSE
from ctpolicy.iptables.prefixes import prefixes, within
from ctpolicy.iptables.ruleset import Chain, IpSet, RawTable, RawTables, Rule
from ctpolicy.iptables.sets import room_for
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet


@dataclass(frozen=True, slots=True)
class SetChange:
    """What becomes of one set that stays.

    Args:
        before: as it is.
        after: as it is to be.
        added_first: elements that come when sets are widened, each a prefix or a port; likewise `deleted_first`.
        added_then: elements that come when sets are narrowed; likewise `deleted_then`.
        remade: the widened set under another name, to be swapped in, if the one that is there has too little room; its
            `live` elements are what is to be in it.
    """

    before: IpSet
    after: IpSet
    added_first: tuple[Interval, ...]
    deleted_first: tuple[Interval, ...]
    added_then: tuple[Interval, ...]
    deleted_then: tuple[Interval, ...]
    remade: IpSet | None = None


@dataclass(frozen=True, slots=True)
class TableChange:
    """What becomes of one family's raw table.

    Args:
        family: of the table.
        written: chains of ours that are new or have other rules, as they are to be.
        before: those of them that are there, as they are.
        removed: chains of ours that go, as they are.
        unhooked: jumps of ours that go, by built-in chain.
        hooked: jumps of ours that come: the built-in chain, the place in it, from 1, and the rule. One that was
            compiled comes first of all; one that is put back, where it was.
    """

    family: Family
    written: tuple[Chain, ...]
    before: tuple[Chain, ...]
    removed: tuple[Chain, ...]
    unhooked: tuple[tuple[str, Rule], ...]
    hooked: tuple[tuple[str, int, Rule], ...]

    def __bool__(self) -> bool:
        return bool(self.written or self.removed or self.unhooked or self.hooked)


@dataclass(frozen=True, slots=True)
class Change:
    """All of it, in the order in which it is done."""

    sets_added: tuple[IpSet, ...]
    sets_changed: tuple[SetChange, ...]
    tables: tuple[TableChange, ...]
    sets_removed: tuple[IpSet, ...]

    def __bool__(self) -> bool:
        return bool(self.sets_added or self.sets_changed or self.tables or self.sets_removed)


def difference(live: RawTables | None, desired: RawTables | None) -> Change:
    """What makes the one into the other; both are what is ours (own.own_part).

    Raises:
        HostError: an ipset of ours is there, or was there and would have to come back, that is not as ctpolicy makes
            them.
    """
    before, after = live or RawTables(), desired or RawTables()
    old, new = {one.name: one for one in before.sets}, {one.name: one for one in after.sets}
    _refuse_unmade([one for name, one in new.items() if name not in old])
    tables = (_table_change(family, before.tables.get(family), after.tables.get(family)) for family in Family)
    return Change(
        tuple(new[name] for name in sorted(new.keys() - old.keys())),
        tuple(_set_change(old[name], new[name]) for name in sorted(new.keys() & old.keys()) if old[name] != new[name]),
        tuple(change for change in tables if change),
        tuple(old[name] for name in sorted(old.keys() - new.keys())),
    )


def _table_change(family: Family, live: RawTable | None, desired: RawTable | None) -> TableChange:
    old = {chain.name: chain for chain in (live or RawTable()).chains}
    new = {chain.name: chain for chain in (desired or RawTable()).chains}
    different = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    own = [name for name in different if name not in BUILT_IN]
    moved = [name for name in BUILT_IN if name in different]
    gone = ((name, rule) for name in moved if name in old for rule in old[name].rules)
    come = ((name, place, rule) for name in moved if name in new for place, rule in enumerate(new[name].rules, 1))
    return TableChange(
        family,
        tuple(new[name] for name in own if name in new),
        tuple(old[name] for name in own if name in new and name in old),
        tuple(old[name] for name in own if name not in new),
        tuple((name, rule) for name, rule in gone if rule != SOMEBODY_ELSE),
        tuple((name, place, rule) for name, place, rule in come if rule != SOMEBODY_ELSE),
    )


def _refuse_unmade(sets: list[IpSet]) -> None:
    """What was compiled can be made; what somebody made under our names, and is to be put back, perhaps not."""
    for one in sets:
        if one.unmodelled:
            raise HostError(f"The ipset {one.name} cannot be made again as it was ({one.type} {one.unmodelled}).")


def _set_change(before: IpSet, after: IpSet) -> SetChange:
    if (before.type, before.family) != (after.type, after.family) or before.unmodelled:
        raise HostError(
            f"There is an ipset {after.name} that is not as ctpolicy makes it ({before.type} {before.unmodelled}). "
            f"If nobody needs it, remove what uses it, then `ipset destroy {after.name}`, and run this again."
        )
    old, new = set(_elements(before)), set(_elements(after))
    added, deleted = new - old, old - new
    if not is_of_tracks(after.name):
        added_first, deleted_first = added, set[Interval]()
    else:
        # What both have must stay in a set of track rules all the time: it shrinks to that first, and grows then.
        # Prefixes lie one in the other or apart, so one within the other's elements changes nothing when it comes or
        # goes.
        added_first = {interval for interval in added if _holds(before.values, interval)}
        deleted_first = {interval for interval in deleted if not _holds(after.values, interval)}
    return SetChange(
        before,
        after,
        tuple(sorted(added_first)),
        tuple(sorted(deleted_first)),
        tuple(sorted(added - added_first)),
        tuple(sorted(deleted - deleted_first)),
        _remade(before, after, (old | added_first) - deleted_first, max(len(old | added_first), len(old | new))),
    )


def _remade(before: IpSet, after: IpSet, widened: set[Interval], needed: int) -> IpSet | None:
    if before.family is None or needed <= before.most:
        return None
    most = max(after.most, room_for(needed))
    return replace(
        after, name=swapped_in_by(after.name), values=IntervalSet.of(widened), live=tuple(sorted(widened)), most=most
    )


def _holds(values: IntervalSet, interval: Interval) -> bool:
    return within(values, interval) == IntervalSet((interval,))


def _elements(one: IpSet) -> Iterator[Interval]:
    if one.family is None:
        # Single ports, because a range may change in its middle.
        return ((port, port) for first, last in one.values for port in range(first, last + 1))
    return iter(one.live or prefixes(one.values, one.family.bits))
