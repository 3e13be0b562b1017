"""Law: a packet is in a policy's bypass space exactly when `decide` leaves it untracked."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning, legs
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing.strategies import boundary_packets, packets, policies


@given(policies(), st.integers(0, 2**32 - 1))
def test_the_bypass_space_is_what_decide_says(policy: Policy, seed: int) -> None:
    meaning, space = Meaning.of(policy), bypass_space(policy)
    for packet in boundary_packets(policy, Random(seed), 200):
        assert (packet in space) == meaning.decide(packet).untracked, packet


@given(policies(), st.integers(0, 2**32 - 1))
def test_an_entry_covers_what_its_legs_hold(policy: Policy, seed: int) -> None:
    spaces = [(legs(entry), entries_space([entry])) for entry in policy.entries()]
    for packet in boundary_packets(policy, Random(seed), 20):
        for boxes, space in spaces:
            assert (packet in space) == any(packet in box for box in boxes), packet


@given(policies(), packets())
def test_every_packet_is_in_the_space_or_in_its_complement(policy: Policy, packet: Packet) -> None:
    space = bypass_space(policy)
    assert packet in PacketSpace.all()
    assert (packet in space) != (packet in ~space)
    assert (packet in space) == (PacketSpace.of_packet(packet) <= space)
    assert PacketSpace.of_packet(packet).count() == 1
    assert PacketSpace.of_packet(packet).witness() == packet
