"""Differences are told if and only if what is live is not what is desired, whatever was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.own import SOMEBODY_ELSE
from ctpolicy.iptables.ruleset import Chain as RawChain
from ctpolicy.iptables.ruleset import RawTable, RawTables, Variant
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.backend import Backend
from ctpolicy.netfilter.drift import MOST_LINES, DriftKind, rule_drifts
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import ACCEPT, Chain, Other, Rule, Table
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.strategies import policies

Thing = TypeVar("Thing")


@pytest.mark.parametrize("backend", [NFTABLES, IptablesBackend(Variant.NFT), IptablesBackend(Variant.LEGACY, False)])
@settings(max_examples=8)
@given(one=policies(), other=policies())
def test_between_two_policies(backend: Backend[Any], one: Policy, other: Policy) -> None:
    live, desired = backend.compile(one), backend.compile(other)
    assert bool([*backend.drifts(live, desired)]) is (live != desired)
    assert [*backend.drifts(live, backend.compile(one))] == []
    assert bool([*backend.drifts(None, desired)]) is (desired is not None)


def rearranged(things: Sequence[Thing], strange: Sequence[Thing], data: st.DataObject) -> tuple[Thing, ...]:
    """Some of the things, some of them twice, with strange ones among them, in any order."""
    pool = [*things, *things[:2], *strange]
    chosen = data.draw(st.lists(st.integers(0, len(pool) - 1), max_size=8, unique=True)) if pool else []
    return data.draw(st.sampled_from([tuple(things), tuple(pool[at] for at in chosen), tuple(things[::-1])]))


@given(policy=policies(), data=st.data())
def test_after_anything_that_may_be_done_to_a_table(policy: Policy, data: st.DataObject) -> None:
    desired = NFTABLES.compile(policy)
    strange = Chain("theirs", None, (Rule((ACCEPT,)),))
    chains = tuple(
        replace(chain, rules=rearranged(chain.rules, strange.rules, data)) if data.draw(st.booleans()) else chain
        for chain in dict.fromkeys(rearranged(desired.chains, [strange], data))
    )
    live = replace(
        desired,
        chains=tuple(sorted({chain.name: chain for chain in chains}.values(), key=lambda chain: chain.name)),
        sets=tuple(one for one in desired.sets if data.draw(st.booleans())),
        maps=tuple(replace(one, elements=one.elements[data.draw(st.integers(0, 1)) :]) for one in desired.maps),
        others=data.draw(st.sampled_from([(), (Other("counter", "theirs"),), (Other("flags", "dormant"),)])),
    )
    check(NFTABLES, live, desired)


@given(policy=policies(), data=st.data())
def test_after_anything_that_may_be_done_to_raw_tables(policy: Policy, data: st.DataObject) -> None:
    backend = IptablesBackend(Variant.NFT)
    desired = backend.compile(policy)
    if desired is None:
        return
    tables: dict[Family, RawTable] = {}
    for family, table in desired.tables.items():
        chains = tuple(
            RawChain(chain.name, rearranged(chain.rules, [SOMEBODY_ELSE], data), chain.policy)
            for chain in table.chains
            if data.draw(st.booleans())
        )
        if chains:
            tables[family] = RawTable(chains)
    check(backend, RawTables(tables, tuple(one for one in desired.sets if data.draw(st.booleans()))), desired)


def check(backend: Backend[Any], live: Any, desired: Table | RawTables) -> None:
    found = [*backend.drifts(live, desired)]
    assert bool(found) is (live != desired)
    assert all(len(one.missing) <= MOST_LINES and len(one.found) <= MOST_LINES for one in found)
    assert len({(one.kind, one.object) for one in found}) == len(found)


@given(live=st.lists(st.sampled_from("abcd"), max_size=8), desired=st.lists(st.sampled_from("abcd"), max_size=8))
def test_rules_that_only_moved_are_neither_removed_nor_added(live: list[str], desired: list[str]) -> None:
    found = [*rule_drifts("chain", str, live, desired)]
    assert bool(found) is (live != desired)
    if sorted(live) == sorted(desired) and live != desired:
        assert [one.kind for one in found] == [DriftKind.REORDERED]
    missing = sum(len(one.missing) for one in found if not one.more)
    come = sum(len(one.found) for one in found if not one.more and one.kind is not DriftKind.REORDERED)
    if not any(one.more for one in found):
        assert len(live) - come + missing == len(desired)
