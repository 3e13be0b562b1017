"""The oracle is held against rulesets that a person wrote, before anything is held against the oracle."""

from __future__ import annotations

import ipaddress
import itertools
import random
import time

import pytest

import ctpolicy.oracle.worlds
from ctpolicy.oracle.sendable import DEVICES, can_be_sent
from ctpolicy.oracle.worlds import Oracle, OracleError
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Path
from ctpolicy.packetspace.interfaces import LONGEST_NAME
from ctpolicy.packetspace.packet import Packet, parse_packet
from kernel.namespace import Namespace, NamespaceUnavailableError, make_namespace

pytestmark = pytest.mark.kernel

NOTHING = "table inet ctpolicy { }"

ADDRESSES = (
    "0.0.0.0 10.0.0.1 127.0.0.1 127.1.2.3 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 169.254.1.1 8.8.8.8",
    ":: ::1 ::2 fd00::1 2001:db8::1 fe80::1 feff::1 ff01::1 ff02::1 ff0e::1 ff11::1 ff12::1 ffff::1 64:ff9b::1 4000::1",
)


def table(*, prerouting: str, output: str) -> str:
    return f"""
table inet ctpolicy {{
  chain prerouting {{
    type filter hook prerouting priority -300;
    {prerouting}
  }}
  chain output {{
    type filter hook output priority -300;
    {output}
  }}
}}
"""


VXLAN = table(prerouting="udp dport 4789 notrack", output="udp dport 4789 notrack")
TAKEN_OR_SENT = table(prerouting="fib daddr type { local, broadcast, anycast, multicast } notrack", output="notrack")


def packets(*notations: str) -> list[Packet]:
    return [parse_packet(notation) for notation in notations]


def everything_that_can_be_sent() -> list[Packet]:
    found = []
    for addresses in ADDRESSES:
        ends = [ipaddress.ip_address(text) for text in addresses.split()]
        for source, destination, path, interface in itertools.product(ends, ends, Path, ("eth0", "lo", "")):
            if path is Path.OUT or interface != "lo":
                packet = Packet(path, 17, source, destination, 1, 2, interface)
                found += [packet] if can_be_sent(packet) else []
    return found


def test_it_gives_both_answers(oracle: Oracle) -> None:
    asked = packets(
        "in udp 10.0.0.1:4000 -> 10.0.0.2:4789",
        "in udp 10.0.0.1:4789 -> 10.0.0.2:4000",
        "in tcp 10.0.0.1:4000 -> 10.0.0.2:4789",
        "forward udp [fd00::1]:4000 -> [fd00::2]:4789 dev bond0",
        "out udp [fd00::1]:4000 -> [fd00::2]:4789 dev bond1",
        "out udp 127.0.0.1:4000 -> 127.0.0.1:4789",
        "out udp 127.0.0.1:4000 -> 127.0.0.1:4788",
    )
    oracle.load(VXLAN)
    assert oracle.untracked(asked) == [True, False, False, True, True, True, False]
    oracle.load(NOTHING)
    assert oracle.untracked(asked) == [False] * len(asked)


def test_in_and_forward_differ_by_who_takes_the_destination(oracle: Oracle) -> None:
    asked = everything_that_can_be_sent()
    oracle.load(TAKEN_OR_SENT)
    wrong = [
        str(packet)
        for packet, untracked in zip(asked, oracle.untracked(asked), strict=True)
        if untracked != (packet.path is not Path.FORWARD)
    ]
    assert wrong == []
    assert {packet.path for packet in asked} == set(Path)


def test_every_device_is_seen_by_its_name(oracle: Oracle) -> None:
    names = ("lo", *DEVICES)
    oracle.load(
        table(
            prerouting="\n".join(f'iifname "{name}" meta l4proto 100 notrack' for name in DEVICES[::2]),
            output="\n".join(f'oifname "{name}" meta l4proto 100 notrack' for name in names[::2]),
        )
    )
    arriving = packets(*(f"forward 100 10.0.0.1 -> 10.0.0.2 dev {name}" for name in DEVICES))
    leaving = packets(*(f"out 100 10.0.0.1 -> 10.0.0.2 dev {name}" for name in names))
    assert oracle.untracked(arriving) == [at % 2 == 0 for at in range(len(arriving))]
    assert oracle.untracked(leaving) == [at % 2 == 0 for at in range(len(leaving))]
    assert all(len(name) <= LONGEST_NAME for name in DEVICES)


@pytest.mark.parametrize("version", [4, 6])
def test_every_protocol_arrives_as_itself(oracle: Oracle, version: int) -> None:
    known = [p for p in range(256) if version == 4 or p not in {0, 43, 44, 51, 60}]
    ends = [ipaddress.ip_address("10.0.0.1" if version == 4 else "fd00::1") for _ in range(2)]
    asked = [
        Packet(path, number, ends[0], ends[1], *((7, 9) if number in PROTOCOLS_WITH_PORTS else (None, None)))
        for number in known
        for path in Path
    ]
    rules = "meta l4proto { tcp, sctp, esp, 253 } notrack\nmeta l4proto { udp, udplite, dccp } th dport 9 notrack"
    oracle.load(table(prerouting=rules, output=rules))
    bypassed = {6, 132, 50, 253, 17, 136, 33}
    assert oracle.untracked(asked) == [packet.protocol in bypassed for packet in asked]


def test_a_packet_that_was_dropped_before_the_recorder_is_an_error(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctpolicy.oracle.worlds, "_PATIENCE", 0.1)
    oracle.load(table(prerouting="udp dport 9 drop", output=""))
    with pytest.raises(OracleError, match=r"1 of 2 packets were not seen at any hook:\n  in udp 10\.0\.0\.1:1"):
        oracle.untracked(packets("in udp 10.0.0.1:1 -> 10.0.0.2:9", "in udp 10.0.0.1:1 -> 10.0.0.2:8"))


@pytest.mark.parametrize(
    "notation",
    [
        "out udp 10.0.0.1:1 -> 127.0.0.1:4789 dev eth0",
        "in udp [::1]:1 -> [fd00::1]:4789",
        "forward udp 10.0.0.1:1 -> 224.0.0.1:4789",
        "in udp 10.0.0.1:1 -> 10.0.0.2:9 dev eth7",
    ],
)
def test_a_packet_that_cannot_be_sent_is_an_error(oracle: Oracle, notation: str) -> None:
    with pytest.raises(OracleError, match="cannot be shown"):
        oracle.untracked(packets(notation))


def test_the_fullest_batches_are_answered_packet_by_packet(oracle: Oracle) -> None:
    choose = random.Random(7)
    source, destination = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("10.0.0.2")
    asked = [
        Packet(choose.choice([Path.IN, Path.FORWARD]), 17, source, destination, 9, choose.choice([4788, 4789]))
        for _ in range(70_000)
    ]
    oracle.load(VXLAN)
    began = time.monotonic()
    assert oracle.untracked(asked) == [packet.destination_port == 4789 for packet in asked]
    print(f"{len(asked) / (time.monotonic() - began):,.0f} packets a second")


def test_no_namespace_is_a_failure_under_ci_and_a_skip_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Namespace) -> None:
        raise NamespaceUnavailableError("Operation not permitted")

    monkeypatch.setattr(Namespace, "__init__", refuse)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="Operation not permitted"):
        make_namespace()
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="Operation not permitted"):
        make_namespace()


def test_a_closed_namespace_is_gone() -> None:
    with make_namespace() as scratch:
        path = scratch.path
        assert path.exists()
        assert scratch.run("ip", "-o", "link").stdout.count("\n") == 1
    assert not path.exists()
