"""Law: the boxes that a diagram has are the set, no two have a packet in common, and too many are none."""

from __future__ import annotations

from itertools import combinations

from hypothesis import assume, given

from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing.strategies import policies

MOST = 300
COMPARED = 20
"""Boxes that are held against each other."""


@given(policies())
def test_branches_are_the_space(policy: Policy) -> None:
    space = bypass_space(policy)
    boxes = space.branches(MOST)
    assume(boxes is not None)
    assert boxes is not None
    assert len(boxes) <= MOST
    assert PacketSpace.of_boxes(boxes) == space
    for one, other in combinations(boxes[:COMPARED], 2):
        assert not PacketSpace.of_boxes([one]) & PacketSpace.of_boxes([other])
    if boxes:
        assert space.branches(len(boxes)) == boxes
        assert space.branches(len(boxes) - 1) is None
