"""Packets are as they were asked to be, come without being picked out, and shrink to ordinary ones."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from ctpolicy.meaning import Meaning
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.packet import Packet, parse_packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.testing import (
    entries,
    entry_named,
    packets,
    packets_inside,
    packets_near,
    packets_outside,
    policies,
    reverse_of,
    spaces,
)
from policies import METRICS, policy

NARROW = settings(database=None, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""What is filtered too much fails all the same."""


def drawn(strategy: st.SearchStrategy[Any], count: int = 200) -> list[Any]:
    """What a strategy gives when nothing fails."""
    found: list[Any] = []

    @settings(NARROW, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def look(value: Any) -> None:
        found.append(value)

    look()
    return found


def shrunk(strategy: st.SearchStrategy[Packet], fails: Any) -> str:
    return str(find(strategy, fails, settings=settings(NARROW, max_examples=5000)))


def test_packets_are_as_asked() -> None:
    strategy = packets(
        path="in",
        family=Family.IPV4,
        protocol=["tcp", 17],
        source=["10.0.0.0/8", "192.168.7.1-192.168.7.9", "fd00::1"],
        destination=ip_address("192.0.2.9"),
        source_port=range(1024, 1030),
        destination_port=["1-4", 22, range(80, 82)],
        interface=["bond*", "eth1"],
    )
    found = drawn(strategy)
    assert {packet.path for packet in found} == {Path.IN}
    assert {packet.protocol for packet in found} == {6, 17}
    assert {str(packet.destination) for packet in found} == {"192.0.2.9"}
    assert {packet.source_port for packet in found} <= set(range(1024, 1030))
    assert {packet.destination_port for packet in found} == {1, 2, 3, 4, 22, 80, 81}
    assert all(packet.interface.startswith("bond") or packet.interface == "eth1" for packet in found)
    near = [packet.source in ip_network("10.0.0.0/8") for packet in found]
    assert any(near)
    assert not all(near)
    assert all(packet.source in ip_network("10.0.0.0/8") or 1 <= int(packet.source) & 255 <= 9 for packet in found)


def test_port_that_is_asked_for_leaves_protocols_with_ports() -> None:
    assert {packet.protocol for packet in drawn(packets(destination_port=53))} <= {6, 17, 33, 132, 136}


def test_addresses_of_one_family_leave_that_family() -> None:
    assert {packet.family for packet in drawn(packets(source="fd00::/8"), 50)} == {Family.IPV6}
    both = packets(source=["fd00::/8", "10.0.0.0/8"])
    assert {packet.family for packet in drawn(both)} == set(Family)


def test_interface_that_nobody_names_can_be_asked_for() -> None:
    assert {packet.interface for packet in drawn(packets(path="in", interface=""), 50)} == {""}


def test_the_whole_of_all_packets_is_reached() -> None:
    found = drawn(packets(), 600)
    assert {packet.path for packet in found} == set(Path)
    assert {packet.family for packet in found} == set(Family)
    assert {6, 17} <= {packet.protocol for packet in found}
    assert len({packet.protocol for packet in found if packet.source_port is None}) > 5
    assert {"", "lo", "eth0"} <= {packet.interface for packet in found}
    assert len({0, 22, 53, 443, 4789, 9100, 65535} & {packet.destination_port for packet in found}) > 3
    assert any(packet.destination in ip_network("224.0.0.0/4") for packet in found if packet.family is Family.IPV4)
    assert len({packet.source for packet in found}) > 50


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"protocol": "gre", "destination_port": 22}, "gre has no ports"),
        ({"protocol": ["tcp", "icmp"], "source_port": 1}, "icmp has no ports"),
        ({"path": "in", "interface": "lo"}, "no host can meet such a packet: path='in', interface='lo'"),
        ({"source": "10.0.0.1", "destination": "::1"}, "no family in common"),
        ({"family": "ipv6", "source": "10.0.0.0/8"}, "no family in common"),
        ({"family": "ipv6", "protocol": 0}, "no host can meet such a packet"),
        ({"source_port": []}, "source_port is empty"),
        ({"destination_port": range(5, 5)}, "destination_port is empty"),
        ({"protocol": "tpc"}, "protocol: `tpc` is not a protocol"),
        ({"protocol": 256}, "protocol: `256` is not a protocol"),
        ({"path": "input"}, "path: `input` is not a path"),
        ({"family": "inet"}, "family: `inet` is not a family"),
        ({"destination_port": 65536}, "`65536` is not a port"),
        ({"destination_port": True}, "`True` is not a port"),
        ({"destination_port": "9-3"}, "`9-3` ends before it begins"),
        ({"destination_port": "ssh"}, "`ssh` is not a port"),
        ({"source": "10.0.0.1/8"}, "has host bits set"),
        ({"source": "10.0.0.9-10.0.0.1"}, "ends before it begins"),
        ({"source": "10.0.0.9-::1"}, "begins in one family and ends in the other"),
        ({"source": "fe80::1%eth0"}, "a packet has no zone"),
        ({"interface": "eth 0"}, "`eth 0` cannot name an interface"),
    ],
)
def test_contradiction_is_told(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        packets(**asked)


def test_argument_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be asked for their port, only for path, family"):
        packets(port=22)  # type: ignore[call-arg]


@given(policies(max_entries=4).filter(lambda one: bool(bypass_space(one))), st.data())
def test_inside_a_policy_is_untracked_and_outside_is_not(one: Any, data: st.DataObject) -> None:
    meaning = Meaning.of(one)
    assert meaning.decide(data.draw(packets_inside(one))).untracked
    if ~bypass_space(one):
        assert not meaning.decide(data.draw(packets_outside(one))).untracked


@given(entries(), st.data())
def test_inside_an_entry_is_covered(one: Any, data: st.DataObject) -> None:
    assert data.draw(packets_inside(one)) in entries_space([one])


@settings(max_examples=10)
@given(spaces().filter(lambda space: space not in (PacketSpace.none(), PacketSpace.all())), st.data())
def test_inside_and_outside_of_sets(space: PacketSpace, data: st.DataObject) -> None:
    if space.witness() is not None:
        assert data.draw(packets_inside(space)) in space
    if (~space).witness() is not None:
        assert data.draw(packets_outside(space)) not in space


def test_sets_are_of_many_kinds() -> None:
    found = drawn(spaces(), 40)
    assert len({space.root for space in found}) > 6
    assert PacketSpace.none() in found


def test_one_address_of_ten_thousand_ports_costs_no_search() -> None:
    """Picked out of all packets, none of these would be found in a lifetime."""
    needle = parse_packet("forward tcp [fd00:7::99]:4242 -> [fd00:7::1]:22 dev bond7")
    assert set(drawn(packets_inside(PacketSpace.of_packet(needle)), 5)) == {needle}


def test_inside_can_be_asked_to_be_on_a_path() -> None:
    entry = entry_named(policy(METRICS), "node-metrics")
    found = drawn(packets_inside(entry, path="out", family="ipv6"), 100)
    assert {(packet.path, packet.family) for packet in found} == {(Path.OUT, Family.IPV6)}
    assert {packet.source_port for packet in found if packet.interface != "lo"} == {9100, 9537}


def test_no_packet_inside_is_told() -> None:
    with pytest.raises(ValueError, match="no packet is inside of it: protocol='udp'"):
        packets_inside(policy(METRICS), protocol="udp")
    with pytest.raises(ValueError, match="no packet is outside of it: any packet"):
        packets_outside(PacketSpace.all())


def test_entry_that_there_is_not_is_told_with_those_that_are() -> None:
    with pytest.raises(LookupError, match="no entry `metrics`, only node-metrics, ssh"):
        entry_named(policy(METRICS), "metrics")


@pytest.mark.parametrize("path", ["in", "out", Path.FORWARD])
def test_packets_near_can_be_asked_to_be_on_a_path(path: Path | str) -> None:
    assert {packet.path for packet in drawn(packets_near(policy(METRICS), path), 30)} == {Path(path)}


def test_near_is_on_both_sides() -> None:
    space = bypass_space(policy(METRICS))
    inside = [packet in space for packet in drawn(packets_near(policy(METRICS)))]
    assert 0.1 < sum(inside) / len(inside) < 0.9


def test_failing_packet_shrinks_to_an_ordinary_one() -> None:
    ssh = "in tcp 198.51.100.1:40000 -> 192.0.2.1:22"
    assert shrunk(packets(protocol="tcp"), lambda packet: packet.destination_port == 22) == ssh
    one = policy(METRICS)
    assert shrunk(packets_inside(one), lambda packet: packet.path is Path.OUT and packet.interface == "").startswith(
        "out tcp 198.51.100.1:9100 -> "
    )
    assert shrunk(packets_outside(one), lambda packet: packet.destination_port == 9100).endswith("192.0.2.1:9100")
    near = shrunk(packets_near(one), lambda packet: packet.destination_port == 9101)
    assert near.startswith("in tcp ")
    assert "dev" not in near


@pytest.mark.parametrize("kind", ["overlay", "host-service", "host-client", "forward", "ports", "match"])
def test_entries_are_of_the_kinds_that_are_asked_for(kind: str) -> None:
    assert {type(one).__name__ for one in drawn(entries([kind]), 10)} == {kind.title().replace("-", "")}


def test_policies_are_no_larger_than_asked_and_of_the_kinds() -> None:
    found = drawn(policies({"ports", "match"}, max_entries=2), 60)
    sizes = [len(list(one.entries())) for one in found]
    assert (min(sizes), max(sizes)) == (0, 2)
    assert {type(entry).__name__ for one in found for entry in one.entries()} == {"Ports", "Match"}


@pytest.mark.parametrize("kinds", [{"tunnel"}, [], "ports"])
def test_kind_that_there_is_not_is_refused(kinds: Any) -> None:
    with pytest.raises(ValueError, match="kinds are some of overlay, "):
        policies(kinds)
    with pytest.raises(ValueError, match="kinds are some of overlay, "):
        entries(kinds)


@given(packets())
def test_reverse_of_the_reverse_is_the_packet(packet: Packet) -> None:
    assert reverse_of(reverse_of(packet)) == packet or packet.interface == "lo" or packet.path is Path.OUT
