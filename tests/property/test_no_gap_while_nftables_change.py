"""Whatever policy follows another: between two transactions that is untracked which is before or after, and all of what
is both. The same if one change is interrupted, wherever, and another follows.

Looked at are the tables between the transactions, as the kernel lists them. What packets meet while it carries one out
is in tests/kernel.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import Json, load_document
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.stand_in import PREFIX
from ctpolicy.nftables.transaction import removal, transactions
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.plan.plan import plan_policy
from ctpolicy.testing.strategies import policies
from kernel.live import host_of, kernel_of
from kernel.namespace import Namespace
from kernel.test_no_gap_nftables import POLICIES
from policies import METRICS, VXLAN, policy

pytestmark = pytest.mark.kernel

# Each example begins with what the one before has left: one more live table that a policy takes the place of.
ONE_NAMESPACE_FOR_ALL = [HealthCheck.function_scoped_fixture]

related = st.sampled_from(sorted(set(POLICIES) - {"a long list", "most of it replaced", "one of it gone"})).map(
    lambda name: policy(POLICIES[name])
)


@settings(max_examples=8, suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(
    several=st.lists(policies() | related, min_size=1, max_size=3),
    interrupted=st.lists(st.integers(0, 2), min_size=2, max_size=2),
)
def test_what_both_leave_untracked_is_never_tracked(
    namespace: Namespace, several: list[Policy], interrupted: list[int]
) -> None:
    host = host_of(namespace)
    *interruptions, last = map(compile_policy, several)
    for desired, carried_out in zip(interruptions, interrupted, strict=False):
        live = host.read()
        follow(namespace, live, desired, transactions(live, desired)[:carried_out])
    live = host.read()
    follow(namespace, live, last, transactions(live, last))
    assert host.read() == last
    assert not transactions(host.read(), last)


def follow(namespace: Namespace, live: Table | None, desired: Table, changes: Iterable[Json]) -> None:
    before, after = untracked(live), untracked(desired)
    for change in changes:
        kernel_of(namespace).commit(change)
        now = untracked(host_of(namespace).read())
        assert before & after <= now <= before | after


def untracked(table: Table | None) -> PacketSpace:
    return NFTABLES.treatment(table).untracked.certainly


def test_the_law_sees_a_table_that_is_deleted_before_it_is_added(namespace: Namespace) -> None:
    old, new = compile_policy(policy(VXLAN)), compile_policy(policy(VXLAN + "  - {name: web, ports: tcp/80}\n"))
    follow(namespace, None, old, transactions(None, old))
    with pytest.raises(AssertionError):
        follow(namespace, old, new, (removal(old), load_document(new)))


@pytest.mark.parametrize("carried_out", [1, 2])
def test_a_stand_in_that_was_left_behind_is_removed(namespace: Namespace, carried_out: int) -> None:
    old, new = compile_policy(policy(VXLAN)), compile_policy(policy(METRICS))
    host = host_of(namespace)
    host.change(None, old)
    for change in transactions(host.read(), new)[:carried_out]:
        kernel_of(namespace).commit(change)
    live = host.read()
    assert live
    assert any(chain.name.startswith(PREFIX) for chain in live.chains)
    if carried_out == 1:
        assert list(NFTABLES.counted(live)) == list(NFTABLES.counted(old)), "it counts nothing"
    assert not list(NFTABLES.faults(live))
    assert plan_policy(NFTABLES, policy(METRICS), live)
    packet = parse_packet("in tcp 10.1.0.1:4000 -> 10.0.0.9:9100")
    assert NFTABLES.way(live, packet).untracked
    host.change(live, new)
    assert host.read() == new
    assert PREFIX not in namespace.ruleset()
