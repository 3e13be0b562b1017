"""The packets that each entry's rules are about, so that an entry whose meaning changes can be told from others.

Every way from a built-in chain of ours to an entry's rule is one box: what all the rules on it ask, put together. Where
trees or ipsets have parted a list, boxes that differ in one field alone are put together again, so that a layout of
another kind that asks the same is the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from ctpolicy.iptables.ours import BUILT_IN, chain_of, is_gate
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    End,
    InSet,
    IpSet,
    Match,
    Multiport,
    Notrack,
    Port,
    RawTables,
    Rule,
    Verdict,
    VerdictKind,
)
from ctpolicy.netfilter.backend import EntryKey
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet

_Values = Mapping[str, IntervalSet]
"""What is asked about fields, by their names; a field that is not asked about is left out."""

_Box = tuple[frozenset[Match], _Values]
_Frozen = tuple[frozenset[Match], frozenset[tuple[str, IntervalSet]]]


def role_of(rule: Rule) -> str | None:
    """What a rule does for its entry: bypass or track; None for a rule that does not decide for one."""
    if rule.comment is None:
        return None
    if rule.target == Verdict(VerdictKind.RETURN):
        return "track"
    return "bypass" if isinstance(rule.target, Notrack) else None


def entry_marks(own: RawTables) -> dict[EntryKey, int]:
    """For each entry a fingerprint of what its rules are about; comparable in this process only."""
    boxes: dict[EntryKey, dict[tuple[Family, str], list[_Box]]] = defaultdict(lambda: defaultdict(list))
    sets = {one.name: one for one in own.sets}
    for family, table in own.tables.items():
        chains = {chain.name: chain.rules for chain in table.chains}
        for built_in in BUILT_IN:
            if chains.get(built_in):
                for entry, box in _ways(chains, sets, chain_of(built_in), (frozenset(), {})):
                    boxes[entry][family, built_in].append(box)
    return {
        entry: hash(frozenset((place, _put_together(found)) for place, found in places.items()))
        for entry, places in boxes.items()
    }


def _ways(
    chains: Mapping[str, tuple[Rule, ...]], sets: Mapping[str, IpSet], chain: str, before: _Box
) -> Iterator[tuple[EntryKey, _Box]]:
    for rule in chains.get(chain, ()):
        box = _narrowed(before, rule.matches, sets)
        if box is None:
            continue
        role = role_of(rule)
        if role:
            yield (role, rule.comment or ""), box
        elif isinstance(rule.target, Verdict) and rule.target.chain:
            yield from _ways(chains, sets, rule.target.chain, box)


def _narrowed(box: _Box, matches: Iterable[Match], sets: Mapping[str, IpSet]) -> _Box | None:
    """What is left of a box; None if nothing is."""
    others, values = set(box[0]), dict(box[1])
    for match in matches:
        if isinstance(match, InSet) and is_gate(match.name):
            continue  # it lets everything by that is asked about behind it
        found = _field(match, sets)
        if found is None:
            others.add(match)
            continue
        field, wanted = found
        values[field] = values[field] & wanted if field in values else wanted
        if not values[field]:
            return None
    return frozenset(others), values


def _field(match: Match, sets: Mapping[str, IpSet]) -> tuple[str, IntervalSet] | None:
    """The field that a match asks about, and its values; None if it is not one of those that trees part."""
    match match:
        case Address(end, interval, False) | AddressRange(end, interval, False):
            return f"{end.value} address", IntervalSet((interval,))
        case Port(_, end, interval, False):
            return f"{end.value} port", IntervalSet((interval,))
        case Multiport(End.SOURCE | End.DESTINATION as end, intervals, False):
            return f"{end.value} port", IntervalSet.of(intervals)
        case InSet(name, (end,), False) if name in sets and not sets[name].unmodelled:
            return f"{end.value} {'port' if sets[name].family is None else 'address'}", sets[name].values
    return None


def _put_together(boxes: Iterable[_Box]) -> frozenset[object]:
    """Boxes, those joined that differ in one field alone, field by field."""
    found = {(others, frozenset(values.items())) for others, values in boxes}
    for field in sorted({field for _, values in found for field, _ in values}):
        alike: dict[_Frozen, list[IntervalSet]] = defaultdict(list)
        joined: set[_Frozen] = set()
        for others, values in found:
            wanted = dict(values).get(field)
            if wanted is None:
                joined.add((others, values))
            else:
                alike[others, values - {(field, wanted)}].append(wanted)
        for (others, rest), parts in alike.items():
            union = IntervalSet.of(interval for part in parts for interval in part)
            joined.add((others, rest | {(field, union)}))
        found = joined
    return frozenset(found)
