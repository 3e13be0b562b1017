"""Packets near a policy's boundaries: they are on, inside and outside of each, and cheap."""

from __future__ import annotations

import time
from collections import Counter
from random import Random

import pytest

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.testing.boundaries import boundary_packets

POLICY = load_text("""
apiVersion: ctpolicy/v1
name: bounded
bypass:
  - name: metrics
    host-service: tcp/9100-9110
    peers: [10.0.0.0/24, "fd00:7::/64"]
    interfaces: [eth0, "bond*"]
  - name: tunnels
    overlay: gre
    paths: [in, forward, out]
track:
  - name: one
    match: {source: 10.0.0.9, protocol: tcp}
""")


def test_every_edge_is_met_from_both_sides() -> None:
    packets = boundary_packets(POLICY, Random(1), 5000)
    ports = {packet.destination_port for packet in packets}
    sources = {str(packet.source) for packet in packets}
    assert ports >= {9099, 9100, 9110, 9111}
    assert sources >= {"9.255.255.255", "10.0.0.0", "10.0.0.255", "10.0.1.0", "fd00:7::", "fd00:7:0:1::"}
    assert sources >= {"10.0.0.8", "10.0.0.9", "10.0.0.10"}
    assert {packet.interface for packet in packets} >= {"", "eth0", "eth", "bond", "bond0", "lo"}
    assert {packet.protocol for packet in packets} >= {1, 6, 17, 47, 50, 58, 132}


def test_both_answers_are_common_on_every_path_and_family() -> None:
    meaning = Meaning.of(POLICY)
    answers = Counter(
        (packet.path, packet.family, meaning.decide(packet).untracked)
        for packet in boundary_packets(POLICY, Random(2), 5000)
    )
    assert all(answers[path, family, answer] > 50 for path in Path for family in Family for answer in (False, True))


def test_the_same_seed_gives_the_same_packets() -> None:
    assert boundary_packets(POLICY, Random(3), 100) == boundary_packets(POLICY, Random(3), 100)
    assert boundary_packets(POLICY, Random(3), 100) != boundary_packets(POLICY, Random(4), 100)


def test_a_policy_without_entries_has_packets_too() -> None:
    assert len(boundary_packets(Policy("nothing"), Random(5), 50)) == 50


def test_only_what_is_to_be_kept_is_returned() -> None:
    packets = boundary_packets(POLICY, Random(6), 200, lambda packet: packet.path is Path.FORWARD)
    assert {packet.path for packet in packets} == {Path.FORWARD}
    with pytest.raises(ValueError, match="refuses every packet"):
        boundary_packets(POLICY, Random(6), 1, lambda _: False)


def test_a_hundred_thousand_take_seconds() -> None:
    began = time.process_time()
    boundary_packets(POLICY, Random(7), 100_000)
    assert time.process_time() - began < 15  # 2 on the machine where this was written; the bound catches a blunder
