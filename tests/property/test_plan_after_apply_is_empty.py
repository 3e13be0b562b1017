"""A plan after apply is empty, whatever was live before; so a second apply writes nothing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctpolicy.apply.commit import commit_plan
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.plan.plan import plan_policy, plan_removal
from ctpolicy.testing.strategies import policies
from kernel.live import host_of
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

# Each example begins with what the one before has left: one more live table that a policy takes the place of.
ONE_NAMESPACE_FOR_ALL = [HealthCheck.function_scoped_fixture]


@settings(max_examples=8, suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(several=st.lists(policies(), min_size=1, max_size=2))
def test_plan_after_apply_is_empty(namespace: Namespace, several: list[Policy]) -> None:
    host = host_of(namespace)
    for policy in several:
        commit_plan(plan_policy(NFTABLES, policy, host.read()), host)
        live = host.read()
        again = plan_policy(NFTABLES, policy, live)
        assert live == compile_policy(policy)
        assert not again
        assert again.document() == {"nftables": []}
        assert again.entries == ()


@settings(max_examples=5, suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(policy=policies())
def test_after_removal_nothing_of_ours_is_left(namespace: Namespace, policy: Policy) -> None:
    host = host_of(namespace)
    commit_plan(plan_policy(NFTABLES, policy, host.read()), host)
    commit_plan(plan_removal(NFTABLES, host.read()), host)
    assert host.read() is None
    assert namespace.ruleset() == ""
    assert not plan_removal(NFTABLES, None)
