"""A change of our chains and ipsets, object by object, in the order in which people read it."""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.iptables.change import Change, SetChange, TableChange
from ctpolicy.iptables.render import rule_lines, rule_text
from ctpolicy.iptables.render_sets import element_texts
from ctpolicy.iptables.ruleset import Chain, IpSet, Variant
from ctpolicy.iptables.transaction import element_text
from ctpolicy.netfilter.backend import ObjectChange, Turn
from ctpolicy.packetspace.fields import Family

TOOLS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}


def changed_objects(change: Change, variant: Variant) -> Iterator[ObjectChange]:
    """What a change does to each object."""
    if change.sets_added or change.sets_changed or change.sets_removed:
        yield ObjectChange("table", "ipset", Turn.CHANGED)
    for one in change.sets_removed:
        yield ObjectChange("set", one.name, Turn.REMOVED, _size(one), removed=element_texts(one))
    for one in change.sets_added:
        yield ObjectChange("set", one.name, Turn.ADDED, _size(one), added=element_texts(one))
    for changed in change.sets_changed:
        yield from _set(changed)
    for table in change.tables:
        yield ObjectChange("table", f"{TOOLS[table.family]}-{variant.value} raw", Turn.CHANGED)
        yield from _table(table)


def _size(one: IpSet) -> int:
    return len(one.values) + len(one.elements)


def _set(change: SetChange) -> Iterator[ObjectChange]:
    removed = sorted({*change.deleted_first, *change.deleted_then})
    added = sorted({*change.added_first, *change.added_then})
    lines = (element_text(change.after, element) for element in removed)
    if removed:
        yield ObjectChange("set", change.after.name, Turn.CHANGED, len(removed), removed=lines)
    lines = (element_text(change.after, element) for element in added)
    if added:
        yield ObjectChange("set", change.after.name, Turn.CHANGED, len(added), added=lines)


def _table(change: TableChange) -> Iterator[ObjectChange]:
    before = {chain.name: chain for chain in change.before}
    for built_in in dict.fromkeys([*(name for name, _ in change.unhooked), *(name for name, *_ in change.hooked)]):
        gone = (rule_text(rule, change.family) for name, rule in change.unhooked if name == built_in)
        come = (rule_text(rule, change.family) for name, _, rule in change.hooked if name == built_in)
        yield ObjectChange("chain", built_in, Turn.CHANGED, added=list(come), removed=list(gone))
    for chain in change.removed:
        yield ObjectChange("chain", chain.name, Turn.REMOVED, removed=rule_lines(chain, change.family))
    for chain in change.written:
        yield _chain(chain, before.get(chain.name), change.family)


def _chain(chain: Chain, before: Chain | None, family: Family) -> ObjectChange:
    if before is None:
        return ObjectChange("chain", chain.name, Turn.ADDED, added=rule_lines(chain, family))
    # Order matters in a chain; rules that only moved are shown as gone and come.
    old, new = [rule_text(rule, family) for rule in before.rules], [rule_text(rule, family) for rule in chain.rules]
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return ObjectChange("chain", chain.name, Turn.CHANGED, added=new, removed=old)
