"""The traffic of a plan: nothing if and only if the packets are the same; both sides decide its witnesses otherwise."""

from __future__ import annotations

from hypothesis import given

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.plan.plan import plan_policy
from ctpolicy.plan.side import compare, own_side, policy_side
from ctpolicy.testing.strategies import policies


@given(policies(), policies())
def test_a_plan_shows_exactly_what_changes(live: Policy, desired: Policy) -> None:
    traffic = plan_policy(NFTABLES, desired, compile_policy(live)).traffic
    assert bool(traffic) is (bypass_space(live) != bypass_space(desired))
    for shifts, before, after in ((traffic.untracked, live, desired), (traffic.tracked, desired, live)):
        for shift in shifts:
            assert shift.is_certain
            assert not decide(before, shift.witness).untracked
            assert decide(after, shift.witness).untracked


@given(policies(), policies())
def test_what_becomes_untracked_one_way_is_tracked_again_the_other(one: Policy, other: Policy) -> None:
    there, back = compare(policy_side(one), policy_side(other)), compare(policy_side(other), policy_side(one))
    assert [(shift.packets, shift.witness) for shift in there.untracked] == [
        (shift.packets, shift.witness) for shift in back.tracked
    ]


@given(policies())
def test_a_policy_and_its_table_are_no_different(policy: Policy) -> None:
    assert not compare(policy_side(policy), own_side(NFTABLES, compile_policy(policy)))
