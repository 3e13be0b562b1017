"""How many packets a box holds, in words."""

from __future__ import annotations

import pytest

from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.size_words import size_words
from policies import policy

CASES = {
    "match: {}": "everything",
    "match: {paths: [in]}": "everything on path in",
    "match: {paths: [in, out], protocol: udp}": "all of udp on paths in and out",
    "match: {protocol: udp}": "all of udp",
    "match: {protocol: gre}": "all of gre",
    "match: {protocol: udp}, families: [ipv6]": "all of udp over ipv6",
    "match: {}, families: [ipv4]": "all of ipv4",
    "match: {paths: [in], protocol: tcp, destination: 10.0.0.1, destination-ports: 22}": "one address, one port",
    "match: {protocol: tcp, source: 10.0.0.0/24, destination-ports: [tcp/22, tcp/80-81]}": "256 addresses, 3 ports",
    "match: {protocol: tcp, source: 10.1.0.0/16, destination-ports: 22}": "a /16 of addresses (65,536), one port",
    "match: {protocol: tcp, source: 'fd00:7::/64'}": "a /64 of addresses, all of tcp",
    "match: {protocol: tcp, source: 'fd00:7::/127'}": "2 addresses, all of tcp",
    "match: {protocol: tcp, source: ['fd00:7::/64', 'fd00:9::/64']}": "2 ranges of addresses, all of tcp",
    "match: {source: 10.0.0.1}": "one address, every protocol",
    "match: {source: 10.0.0.1, destination: 10.1.0.0-10.1.1.0}": "one address to 257 addresses, every protocol",
    "match: {protocol: udp, destination-ports: 53}": "every address, one port",
    "match: {protocol: udp, destination-ports: 53}, families: [ipv4]": "every ipv4 address, one port",
    "match: {protocol: udp, source-ports: 53, destination-ports: 9-65535}": "every address, one port to 65,527 ports",
    "match: {protocol: udp, destination-ports: [0-21, 23-65535]}": "every address, all ports but one port",
    "match: {source: 0.0.0.0-192.0.2.0}": "3,221,225,985 addresses, every protocol",
    "match: {source: 10.0.0.1, interfaces: [eth0]}": "one address, every protocol, one interface",
    "match: {source: 10.0.0.1, interfaces: [eth0, eth1]}": "one address, every protocol, 2 interfaces",
    "match: {source: 10.0.0.1, interfaces: ['eth*']}": "one address, every protocol, some interfaces",
    "match: {source: 10.0.0.1, paths: [out], interfaces: [lo]}": "one address, every protocol, on lo",
    "match: {interfaces: [eth0]}": "everything, one interface",
}


@pytest.mark.parametrize(("entry", "words"), CASES.items())
def test_size_is_said_in_words_that_mean_something(entry: str, words: str) -> None:
    space = entries_space(policy(f"bypass: [{{name: x, acknowledge: a test, {entry}}}]").bypass)
    (box,) = space.describe(8).boxes
    assert size_words(box) == words


def test_what_is_left_over_is_said_as_such() -> None:
    both = policy("bypass: [{name: x, match: {protocol: udp}}]\ntrack: [{name: other, match: {interfaces: [lo]}}]")
    left = entries_space(both.bypass) - entries_space(both.track)
    assert [size_words(box) for box in left.describe(8).boxes] == [
        "all of udp on paths in and forward",
        "all of udp, not on lo",
    ]


def test_nothing_of_a_number_that_says_nothing() -> None:
    everything = PacketSpace.all().describe(8).boxes
    assert {size_words(box) for box in everything} == {"everything"}
