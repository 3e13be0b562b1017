"""A partition of a set of packets is that set, and its boxes have nothing in common."""

from __future__ import annotations

import pytest
from hypothesis import given

from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing.strategies import policies


@given(policies())
def test_a_partition_is_the_set(policy: Policy) -> None:
    space = bypass_space(policy)
    boxes = space.partition(10_000)
    assert PacketSpace.of_boxes(boxes) == space
    assert sum((PacketSpace.of_boxes([box]) & space).count() for box in boxes) == space.count()


@given(policies())
def test_too_many_boxes_are_refused(policy: Policy) -> None:
    space = bypass_space(policy)
    if boxes := space.partition(10_000):
        with pytest.raises(TooLargeError):
            space.partition(len(boxes) - 1)
