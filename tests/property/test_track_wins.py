"""Track always wins: a track entry takes its packets out of every bypass, and no others."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning, legs
from ctpolicy.testing.strategies import boundary_packets, policies


@given(policies().filter(lambda policy: bool(policy.bypass)), policies(), st.integers(0, 2**32 - 1))
def test_track_wins(policy: Policy, source: Policy, seed: int) -> None:
    """Whatever of the policy's own bypasses is tracked too is no longer bypassed, and the rest stays as it was."""
    added = tuple(
        replace(entry, name=f"added-{at}") for at, entry in enumerate((*source.bypass[:2], *policy.bypass[:2]))
    )
    tracking = replace(policy, track=(*policy.track, *added))
    boxes = [leg for entry in added for leg in legs(entry)]
    before, after = Meaning.of(policy), Meaning.of(tracking)
    for packet in boundary_packets(tracking, Random(seed), 100):
        tracked = any(packet in box for box in boxes)
        assert after.decide(packet).untracked == (before.decide(packet).untracked and not tracked)


@given(policies(), st.integers(0, 2**32 - 1))
def test_what_is_both_bypassed_and_tracked_is_tracked(policy: Policy, seed: int) -> None:
    both = replace(policy, track=tuple(replace(entry, name=f"track-{entry.name}") for entry in policy.bypass))
    meaning = Meaning.of(both)
    assert not any(meaning.decide(packet).untracked for packet in boundary_packets(both, Random(seed), 100))
