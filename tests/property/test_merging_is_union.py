"""Merging is union: merged policies bypass what any of them bypasses, less what any of them tracks."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.load import merge
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning, decide
from ctpolicy.testing.strategies import boundary_packets, policies


def renamed(policy: Policy, prefix: str) -> Policy:
    """The same policy, with names that are its own; they stay in order."""
    return replace(
        policy,
        name=prefix,
        bypass=tuple(replace(entry, name=f"{prefix}-{at:03}") for at, entry in enumerate(policy.bypass)),
        track=tuple(replace(entry, name=f"{prefix}-t{at:03}") for at, entry in enumerate(policy.track)),
    )


@given(policies(), policies(), st.integers(0, 2**32 - 1))
def test_merging_is_union(one: Policy, other: Policy, seed: int) -> None:
    parts = renamed(one, "one"), renamed(other, "other")
    merged = Meaning.of(merge(parts))
    meanings = [Meaning.of(part) for part in parts]
    for policy in parts:
        for packet in boundary_packets(policy, Random(seed), 50):
            decisions = [meaning.decide(packet) for meaning in meanings]
            bypassed = any(decision.bypassed_by for decision in decisions)
            tracked = any(decision.tracked_by for decision in decisions)
            assert merged.decide(packet).untracked == (bypassed and not tracked)


@given(policies(), policies())
def test_merging_commutes(one: Policy, other: Policy) -> None:
    parts = renamed(one, "one"), renamed(other, "other")
    there, back = merge(parts), merge(reversed(parts))
    assert (there.bypass, there.track, there.protect) == (back.bypass, back.track, back.protect)


@given(policies(), st.integers(0, 2**32 - 1))
def test_a_policy_merged_with_nothing_is_itself(policy: Policy, seed: int) -> None:
    merged = merge([policy, Policy("nothing")])
    assert (merged.bypass, merged.track) == (policy.bypass, policy.track)
    for packet in boundary_packets(policy, Random(seed), 10):
        assert decide(merged, packet) == decide(policy, packet)
