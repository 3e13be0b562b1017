"""What was done to our table, object by object."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Final

from ctpolicy.netfilter.drift import Drift, DriftKind, element_drifts, rule_drifts, told
from ctpolicy.nftables.render_text import chain_lines, element_lines, rule_text
from ctpolicy.nftables.ruleset import BaseHook, Chain, Other, Set, Table, VerdictMap

_Holder = Set | VerdictMap
_HOLDERS: Final = ("set", "map")


def drifts(live: Table | None, desired: Table | None) -> Iterator[Drift]:
    """Every difference of the live table from the desired one; nothing only if they are the same."""
    if live is None or desired is None:
        yield from _whole(live, desired)
        return
    yield from (_other(other, desired) for other in live.others)
    if _is_flushed(live, desired):
        lines = [line for chain in desired.chains for line in _lines(chain) if chain.rules]
        yield told(DriftKind.FLUSHED, f"table {live.family} {live.name}", str, lines)
        live = replace(live, chains=tuple(_as_flushed(chain, desired) for chain in live.chains))
    yield from _chains(live, desired)
    yield from _holders(live, desired)


def _whole(live: Table | None, desired: Table | None) -> Iterator[Drift]:
    if desired is not None:
        lines = [line for chain in desired.chains for line in _lines(chain)]
        yield told(DriftKind.GONE, f"table {desired.family} {desired.name}", str, lines)
    elif live is not None:
        lines = [line for chain in live.chains for line in _lines(chain)]
        remedy = "`ctpolicy remove` removes it"
        yield told(DriftKind.ADDED, f"table {live.family} {live.name}", str, found=lines, remedy=remedy)


def _lines(chain: Chain) -> list[str]:
    """A chain's hook, if it has one, and its rules."""
    return [line.strip() for line in list(chain_lines(chain))[1:-1]]


def _other(other: Other, desired: Table) -> Drift:
    """Something that ctpolicy never makes, or a set of our name that is none of ours."""
    if other.kind == "flags":
        return Drift(DriftKind.EDITED, f"table {desired.family} {desired.name}", found=(f"flags {other.name}",))
    if other.kind in _HOLDERS and other.name in _by_name(desired):
        return Drift(DriftKind.EDITED, f"{other.kind} {other.name}", found=("of a type that ctpolicy never makes",))
    return Drift(DriftKind.ADDED, f"{other.kind} {other.name}")


def _is_flushed(live: Table, desired: Table) -> bool:
    """Whether the chains are there and no rule is, as `nft flush table` leaves it."""
    full = {chain.name for chain in desired.chains if chain.rules}
    there = [chain for chain in live.chains if chain.name in full]
    return len(full) > 1 and len(there) == len(full) and not any(chain.rules for chain in there)


def _as_flushed(chain: Chain, desired: Table) -> Chain:
    """A chain of a table that was flushed, with the rules that it should have: they have been told of."""
    wanted = desired.chain(chain.name)
    return replace(chain, rules=wanted.rules) if wanted and not chain.rules else chain


def _chains(live: Table, desired: Table) -> Iterator[Drift]:
    there = {chain.name: chain for chain in live.chains}
    for chain in desired.chains:
        name = f"chain {chain.name}"
        if chain.name not in there:
            yield told(DriftKind.REMOVED, name, str, _lines(chain))
            continue
        yield from _hook_drifts(name, there[chain.name].hook, chain.hook)
        yield from rule_drifts(name, rule_text, there[chain.name].rules, chain.rules)
    wanted = {chain.name for chain in desired.chains}
    for chain in live.chains:
        if chain.name not in wanted:
            yield told(DriftKind.ADDED, f"chain {chain.name}", str, found=_lines(chain))


def _hook_drifts(name: str, live: BaseHook | None, desired: BaseHook | None) -> Iterator[Drift]:
    if live is None or desired is None:
        if live != desired:
            yield Drift(DriftKind.HOOK, name, (_hook_text(desired),), (_hook_text(live),))
        return
    if (live.hook, live.device) != (desired.hook, desired.device):
        yield Drift(DriftKind.HOOK, name, (_place(desired),), (_place(live),))
    if live.priority != desired.priority:
        yield Drift(DriftKind.PRIORITY, name, (f"priority {desired.priority}",), (f"priority {live.priority}",))
    if live.type != desired.type:
        yield Drift(DriftKind.TYPE, name, (f"type {desired.type}",), (f"type {live.type}",))
    if live.policy != desired.policy:
        yield Drift(DriftKind.POLICY, name, (f"policy {desired.policy}",), (f"policy {live.policy}",))


def _hook_text(hook: BaseHook | None) -> str:
    if hook is None:
        return "no hook"
    return f"type {hook.type} {_place(hook)} priority {hook.priority}; policy {hook.policy}"


def _place(hook: BaseHook) -> str:
    return f"hook {hook.hook}" + (f" device {hook.device}" if hook.device else "")


def _holders(live: Table, desired: Table) -> Iterator[Drift]:
    others = {other.name for other in live.others if other.kind in _HOLDERS}
    there, wanted = _by_name(live), _by_name(desired)
    for name, holder in wanted.items():
        if name in there:
            yield from _holder_drifts(there[name], holder)
        elif name not in others:
            yield _told_whole(DriftKind.REMOVED, holder)
    yield from (_told_whole(DriftKind.ADDED, holder) for name, holder in there.items() if name not in wanted)


def _by_name(table: Table) -> dict[str, _Holder]:
    """Sets and maps, which share their names."""
    holders: tuple[_Holder, ...] = (*table.sets, *table.maps)
    return {holder.name: holder for holder in holders}


def _holder_drifts(live: _Holder, desired: _Holder) -> Iterator[Drift]:
    name = f"{_kind(desired)} {desired.name}"
    if _head(live) != _head(desired):
        yield Drift(DriftKind.EDITED, name, (_head(desired),), (_head(live),))
        return

    def text(element: Hashable) -> str:
        return next(element_lines(replace(desired, elements=(element,))))  # type: ignore[arg-type] # of its own kind

    yield from element_drifts(name, text, live.elements, desired.elements)


def _told_whole(kind: DriftKind, holder: _Holder) -> Drift:
    lines = [_head(holder)]
    is_missing = kind is DriftKind.REMOVED
    return told(kind, f"{_kind(holder)} {holder.name}", str, lines if is_missing else (), () if is_missing else lines)


def _kind(holder: _Holder) -> str:
    return "set" if isinstance(holder, Set) else "map"


def _head(holder: _Holder) -> str:
    """All of a set or map but its name and its elements."""
    verdict = " : verdict" if isinstance(holder, VerdictMap) else ""
    flags = f"; flags {','.join(sorted(holder.flags))}" if holder.flags else ""
    return f"type {holder.type}{verdict}{flags}" + (f"; {holder.unmodelled}" if holder.unmodelled else "")
