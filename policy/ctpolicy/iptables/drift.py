"""What was done to our chains, jumps and ipsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ctpolicy.iptables.objects import TOOLS
from ctpolicy.iptables.ours import BUILT_IN, jump
from ctpolicy.iptables.own import SOMEBODY_ELSE
from ctpolicy.iptables.prefixes import prefixes
from ctpolicy.iptables.render import rule_lines, rule_text
from ctpolicy.iptables.render_sets import element_texts
from ctpolicy.iptables.ruleset import Chain, IpSet, RawTable, RawTables, Rule, Variant
from ctpolicy.netfilter.drift import Drift, DriftKind, element_drifts, rule_drifts, told
from ctpolicy.packetspace.fields import PORT_BITS, Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_Text = Callable[[Rule], str]


def drifts(live: RawTables | None, desired: RawTables | None, variant: Variant) -> Iterator[Drift]:
    """Every difference of what is live of ours from what is desired; nothing only if they are the same."""
    before, after = live or RawTables(), desired or RawTables()
    for family in Family:
        title = f"{TOOLS[family]}-{variant.value} raw"
        there, wanted = before.tables.get(family), after.tables.get(family)
        if there is None and wanted is not None:
            yield told(DriftKind.GONE, title, str, _all_lines(wanted, family))
        elif there is not None and wanted is None:
            yield from _too_many(title, there, family)
        elif there is not None and wanted is not None and there != wanted:
            yield from _table_drifts(title, there, wanted, family)
    if live is not None:
        yield from _set_drifts(before, after)


def _all_lines(table: RawTable, family: Family) -> list[str]:
    return [line for chain in table.chains for line in rule_lines(chain, family)]


def _too_many(title: str, table: RawTable, family: Family) -> Iterator[Drift]:
    """Chains of a family for which there should be none."""
    for chain in table.chains:
        yield told(DriftKind.ADDED, f"{title}, chain {chain.name}", str, found=rule_lines(chain, family))


def _table_drifts(title: str, live: RawTable, desired: RawTable, family: Family) -> Iterator[Drift]:
    def text(rule: Rule) -> str:
        return rule_text(rule, family)

    for built_in in BUILT_IN:
        there, wanted = live.chain(built_in), desired.chain(built_in)
        name = f"{title}, jump from {built_in}"
        yield from _jump_drifts(name, text, built_in, there.rules if there else (), wanted.rules if wanted else ())
    own_live, own_desired = _own(live), _own(desired)
    if _is_flushed(own_live, own_desired):
        lines = [line for chain in own_desired.values() for line in rule_lines(chain, family)]
        yield told(DriftKind.FLUSHED, f"{title}, all chains of ours", str, lines)
        own_live |= {name: chain for name, chain in own_desired.items() if name in own_live}
    for name, chain in own_desired.items():
        if name in own_live:
            yield from rule_drifts(f"{title}, chain {name}", text, own_live[name].rules, chain.rules)
        else:
            yield told(DriftKind.REMOVED, f"{title}, chain {name}", text, chain.rules)
    for name in sorted(own_live.keys() - own_desired.keys()):
        yield told(DriftKind.ADDED, f"{title}, chain {name}", text, found=own_live[name].rules)


def _own(table: RawTable) -> dict[str, Chain]:
    return {chain.name: chain for chain in table.chains if chain.name not in BUILT_IN}


def _is_flushed(live: dict[str, Chain], desired: dict[str, Chain]) -> bool:
    """Whether the chains are there and no rule is, as `iptables -t raw -F` leaves it."""
    full = {name for name, chain in desired.items() if chain.rules}
    return len(full) > 1 and full <= live.keys() and not any(live[name].rules for name in full)


def _jump_drifts(
    name: str, text: _Text, built_in: str, live: Sequence[Rule], desired: Sequence[Rule]
) -> Iterator[Drift]:
    """What was done to the rules of a built-in chain that lead to ours; those of others before them are places."""
    if tuple(desired) != (jump(built_in),):  # none, or what somebody once made and is to be put back
        if desired or live:
            yield from rule_drifts(name, text, live, desired)
        return
    (wanted,) = desired
    ours = [rule for rule in live if rule != SOMEBODY_ELSE]
    others = ours and live.index(ours[0])
    strange = [rule for rule in ours if rule != wanted]
    if not ours:
        yield told(DriftKind.REMOVED, name, text, [wanted])
    elif wanted not in ours:
        yield told(DriftKind.EDITED, name, text, [wanted], strange)
    elif strange:
        yield told(DriftKind.ADDED, name, text, found=strange)
    if (copies := ours.count(wanted)) > 1:
        yield told(DriftKind.DOUBLED, name, text, found=[wanted] * (copies - 1))
    if others:
        lines = [f"rule {others + 1}, to be rule 1: {text(ours[0])}"]
        yield told(DriftKind.REORDERED, name, str, found=lines)


def _set_drifts(live: RawTables, desired: RawTables) -> Iterator[Drift]:
    there, wanted = {one.name: one for one in live.sets}, {one.name: one for one in desired.sets}
    for name, one in wanted.items():
        if name not in there:
            yield told(DriftKind.REMOVED, f"ipset {name}", str, [_head(one)])
        elif there[name] != one:
            yield from _one_set(there[name], one)
    for name, one in there.items():
        if name not in wanted:
            yield told(DriftKind.ADDED, f"ipset {name}", str, found=[_head(one)])


def _one_set(live: IpSet, desired: IpSet) -> Iterator[Drift]:
    name = f"ipset {desired.name}"
    if _head(live) != _head(desired):
        remedy = f"remove what uses it, then `ipset destroy {desired.name}`, then `ctpolicy apply`"
        yield told(DriftKind.EDITED, name, str, [_head(desired)], [_head(live)], remedy)
        return
    if live.values != desired.values:
        yield from element_drifts(
            name,
            lambda block: " ".join(element_texts(replace(desired, values=IntervalSet((block,)), elements=()))),
            _blocks(live, desired),
            _blocks(desired, live),
        )
    if live.elements != desired.elements:
        yield from element_drifts(
            name,
            lambda element: " ".join(element_texts(replace(desired, values=IntervalSet(), elements=(element,)))),
            live.elements,
            desired.elements,
        )


def _blocks(one: IpSet, other: IpSet) -> list[Interval]:
    """The values that only the first has, as elements; where both have some, one that both have stands for these."""
    bits = one.family.bits if one.family else PORT_BITS
    alone = one.values & other.values.complement(bits)
    shared = (one.values & other.values).intervals[:1]
    blocks = prefixes(alone, bits) if one.family else iter(alone)
    return [*shared, *blocks]


def _head(one: IpSet) -> str:
    """All of a set but its name and its elements."""
    family = f" family {'inet' if one.family is Family.IPV4 else 'inet6'}" if one.family else ""
    return f"{one.type}{family}" + (f" {one.unmodelled}" if one.unmodelled else "")
