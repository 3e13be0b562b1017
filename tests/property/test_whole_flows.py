"""Whole flows: a packet is untracked exactly when the packet that answers it is.

So it is for host-service, host-client, forward and ports, and for a match with both-ways. An overlay is whole with
one leg a direction, because tunnels are not answered port for port; a match is whatever it says.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.policy import Entry, Forward, HostClient, HostService, Match, Policy, Ports
from ctpolicy.meaning import Meaning
from ctpolicy.packetspace.packet import Packet
from ctpolicy.testing.strategies import boundary_packets, policies


def is_whole(entry: Entry) -> bool:
    return isinstance(entry, HostService | HostClient | Forward | Ports) or (
        isinstance(entry, Match) and entry.both_ways
    )


def has_an_answer(packet: Packet) -> bool:
    """Whether the answer's answer is the packet. From the wire, nothing answers an address of loopback."""
    return packet.reverse().reverse() == packet


@given(policies(), st.integers(0, 2**32 - 1))
def test_flows_are_whole(policy: Policy, seed: int) -> None:
    whole = replace(policy, bypass=tuple(filter(is_whole, policy.bypass)), track=tuple(filter(is_whole, policy.track)))
    meaning = Meaning.of(whole)
    for packet in boundary_packets(whole, Random(seed), 100, has_an_answer):
        assert meaning.decide(packet) == meaning.decide(packet.reverse())
