"""What is within a box of a set is its intersection with the box, however it is found."""

from __future__ import annotations

from hypothesis import given

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import legs
from ctpolicy.meaning_space import bypass_space, leg_box
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing.strategies import policies


@given(policies(), policies())
def test_a_part_is_an_intersection(policy: Policy, other: Policy) -> None:
    space = bypass_space(policy)
    for entry in (*other.bypass[:3], *policy.bypass[:1], *policy.track[:1]):
        for leg in legs(entry)[:4]:
            box = leg_box(leg)
            assert space.within(box) == space & PacketSpace.of_boxes([box])
    branch = space.branch()
    assert (branch is None) is (not space)
    assert branch is None or PacketSpace.of_boxes([branch]) <= space
