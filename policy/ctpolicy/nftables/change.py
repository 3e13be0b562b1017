"""What must change for the live table to become the desired one: no more than what differs.

So counters of what stays are kept, and one changed address in a list of 100,000 is one element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Final, TypeVar

from ctpolicy.nftables.ours import OWNER_CHAIN
from ctpolicy.nftables.ruleset import (
    Chain,
    Match,
    Other,
    Rule,
    Set,
    SetReference,
    Table,
    VerdictLookup,
    VerdictMap,
)

Holder = Set | VerdictMap
_Named = TypeVar("_Named", bound=Set | VerdictMap | Chain)


DELETABLE: Final = frozenset({"set", "map", "counter", "quota", "limit", "ct helper", "flowtable", "secmark"})
"""The kinds of `Other`s that libnftables deletes. Given others as JSON, `ct timeout` for one, it aborts (1.0.6)."""


@dataclass(frozen=True, slots=True)
class ChainEdit:
    """New rules for a chain that stays.

    Args:
        chain: its name.
        removed: live rules, with their handles.
        added: rules, each with the handle of the live rule that it comes before; None for the end.
    """

    chain: str
    removed: tuple[Rule, ...]
    added: tuple[tuple[Rule, int | None], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two tables of one name, each part sorted by name.

    Args:
        table: the desired table; what is removed is that of the live one.
        created: whether there is no live table.
        rebuilt: whether only a new table will do, because somebody gave it flags or an object that cannot be deleted.
        sets_added: whole, as are maps; likewise `sets_removed`. One that was there as another kind, or of another
            type, is in both.
        chains_added: whole; likewise `chains_removed`.
        chains_hooked: base chains whose hook, priority, type or policy is wrong: taken down and added again, whole.
        elements_added: sets and maps that stay, with only the elements that are new to them.
        elements_removed: likewise, with only those that leave.
        edits: chains that stay, with other rules.
        others_removed: objects of kinds that ctpolicy never makes.
    """

    table: Table
    created: bool = False
    rebuilt: bool = False
    sets_added: tuple[Holder, ...] = ()
    sets_removed: tuple[Holder, ...] = ()
    chains_added: tuple[Chain, ...] = ()
    chains_removed: tuple[Chain, ...] = ()
    chains_hooked: tuple[Chain, ...] = ()
    elements_added: tuple[Holder, ...] = ()
    elements_removed: tuple[Holder, ...] = ()
    edits: tuple[ChainEdit, ...] = ()
    others_removed: tuple[Other, ...] = ()

    def __bool__(self) -> bool:
        return self != Change(self.table)


def is_ours(table: Table) -> bool:
    """Whether ctpolicy made the table, or nothing is in it that anybody could lose."""
    return table.chain(OWNER_CHAIN) is not None or table == Table(table.family, table.name)


def difference(live: Table | None, desired: Table) -> Change:
    """The change that makes the live table the desired one."""
    if live is None:
        return Change(desired, created=True, sets_added=(*desired.sets, *desired.maps), chains_added=desired.chains)
    live_holders: tuple[Holder, ...] = (*live.sets, *live.maps)
    holders: tuple[Holder, ...] = (*desired.sets, *desired.maps)
    stay = list(_pairs(live_holders, holders))
    stay_chains = list(_pairs(live.chains, desired.chains))
    sets_added = _new(live_holders, holders)
    replaced = {new.name for new in sets_added} & {old.name for old in (*live_holders, *live.others)}
    edits = (_edit(old, new, replaced) for old, new in stay_chains if old.hook == new.hook)
    return Change(
        desired,
        rebuilt=any(other.kind not in DELETABLE for other in live.others),
        sets_added=sets_added,
        sets_removed=_new(holders, live_holders),
        chains_added=_new(live.chains, desired.chains),
        chains_removed=_new(desired.chains, live.chains),
        chains_hooked=tuple(new for old, new in stay_chains if old.hook != new.hook),
        elements_added=_elements(stay),
        elements_removed=_elements((new, old) for old, new in stay),
        edits=tuple(edit for edit in edits if edit.removed or edit.added),
        others_removed=live.others,
    )


def _identity(named: Set | VerdictMap | Chain) -> object:
    """What cannot be changed in place: a set of another type is another set."""
    if isinstance(named, Chain):
        return named.name
    return type(named), named.name, named.type, named.flags, named.unmodelled


def _new(live: Iterable[_Named], desired: Iterable[_Named]) -> tuple[_Named, ...]:
    known = {_identity(named) for named in live}
    return tuple(named for named in desired if _identity(named) not in known)


def _pairs(live: Iterable[_Named], desired: Iterable[_Named]) -> Iterator[tuple[_Named, _Named]]:
    known = {_identity(named): named for named in live}
    for named in desired:
        if _identity(named) in known:
            yield known[_identity(named)], named


def _elements(pairs: Iterable[tuple[Holder, Holder]]) -> tuple[Holder, ...]:
    """The second of each pair, with only the elements that the first has not."""
    found: list[Holder] = []
    for one, other in pairs:
        if one.elements != other.elements:
            known: set[object] = set(one.elements)
            more = tuple(element for element in other.elements if element not in known)
            if more:
                found.append(replace(other, elements=more))  # type: ignore[arg-type] # a tuple of its own kind
    return tuple(found)


def _edit(old: Chain, new: Chain, replaced: AbstractSet[str]) -> ChainEdit:
    """The fewest rules removed and added, found as the longest runs that both chains have in common.

    A rule that names a set which is replaced by another of that name has to be written again, to name the other.
    """
    if old.rules == new.rules and not replaced:
        return ChainEdit(old.name, (), ())
    stays = [object() if replaced & set(names_asked(rule)) else rule for rule in old.rules]
    removed: list[Rule] = []
    added: list[tuple[Rule, int | None]] = []
    matcher = SequenceMatcher(None, stays, new.rules, autojunk=False)
    for _, old_first, old_end, new_first, new_end in (op for op in matcher.get_opcodes() if op[0] != "equal"):
        removed += old.rules[old_first:old_end]
        before = old.rules[old_end].handle if old_end < len(old.rules) else None
        added += ((rule, before) for rule in new.rules[new_first:new_end])
    return ChainEdit(old.name, tuple(removed), tuple(added))


def names_asked(rule: Rule) -> Iterator[str]:
    """The sets and maps that a rule asks."""
    for statement in rule.statements:
        match statement:
            case Match(_, SetReference(name)) | VerdictLookup(_, str(name)):
                yield name
