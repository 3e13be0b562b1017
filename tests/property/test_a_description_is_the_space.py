"""Law: a description's boxes hold no packet that is not in the space, and, if it is complete, every one that is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing.strategies import policies
from policies import policy as written


@given(policies(), st.integers(1, 12))
def test_boxes_are_inside_and_cover_it_if_they_say_so(policy: Policy, limit: int) -> None:
    for space in (bypass_space(policy), ~bypass_space(policy)):
        description = space.describe(limit)
        told = PacketSpace.of_boxes(description.boxes)
        assert told <= space
        assert description.is_complete == (told == space)
        assert len(description.boxes) <= limit
        assert description.is_complete or len(description.boxes) == limit
        assert len(str(description).splitlines()) == max(1, len(description.boxes) + (not description.is_complete))


@given(policies())
def test_every_box_says_something_that_the_ones_before_it_do_not(policy: Policy) -> None:
    boxes = bypass_space(policy).describe(8).boxes
    for at in range(len(boxes)):
        assert not PacketSpace.of_boxes(boxes[at : at + 1]) <= PacketSpace.of_boxes(boxes[:at])


def test_intervals_in_one_branch_do_not_reach_the_next() -> None:
    """On eth0 all of 10.0.0.0/8 is one branch, and the box has two intervals in it: the second met what is beyond."""
    space = bypass_space(
        written("""
bypass: [{name: all, overlay: vxlan, peers: 10.0.0.0/8, interfaces: [eth0, eth1], paths: [in]}]
track: [{name: one, overlay: vxlan, peers: 10.0.0.8, interfaces: [eth1], paths: [in]}]
""")
    )
    assert str(space.describe()).splitlines() == [
        "in udp 10.0.0.0/29,10.0.0.9-10.255.255.255 -> any:4789 dev eth0,eth1",
        "in udp 10.0.0.0/8 -> any:4789 dev eth0",
    ]
