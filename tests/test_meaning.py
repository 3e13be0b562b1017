"""The legs of each kind, spelled out as packets: the table of kinds in the documentation, line by line."""

from __future__ import annotations

import pytest

from ctpolicy.language.load import load_text
from ctpolicy.meaning import decide, legs
from ctpolicy.packetspace.packet import parse_packet

HEAD = "apiVersion: ctpolicy/v1\nname: x\n"

TABLE = {
    "overlay: vxlan\npeers: 10.0.0.2": """
        + in udp 10.0.0.2:999 -> 10.0.0.1:4789
        + out udp 10.0.0.1:999 -> 10.0.0.2:4789
        - in udp 10.0.0.3:999 -> 10.0.0.1:4789
        - out udp 10.0.0.1:999 -> 10.0.0.3:4789
        - in udp 10.0.0.2:4789 -> 10.0.0.1:999
        - out udp 10.0.0.1:4789 -> 10.0.0.2:999
        - forward udp 10.0.0.2:999 -> 10.0.0.3:4789
        - in tcp 10.0.0.2:999 -> 10.0.0.1:4789
    """,
    "overlay: vxlan\npaths: [in, forward, out]": """
        + in udp 10.0.0.2:999 -> 10.0.0.1:4789
        + forward udp 10.0.0.2:999 -> 10.0.0.3:4789
        + out udp [fd00::1]:999 -> [fd00::2]:4789
    """,
    "overlay: vxlan\npaths: [forward]\npeers: 10.0.0.2": """
        + forward udp 10.0.0.2:999 -> 10.0.0.3:4789
        + forward udp 10.0.0.3:999 -> 10.0.0.2:4789
        - forward udp 10.0.0.3:999 -> 10.0.0.4:4789
        - in udp 10.0.0.2:999 -> 10.0.0.3:4789
    """,
    "overlay: {preset: vxlan, port: 4788}": """
        + in udp 10.0.0.2:999 -> 10.0.0.1:4788
        - in udp 10.0.0.2:999 -> 10.0.0.1:4789
    """,
    "overlay: gre": """
        + in gre 10.0.0.2 -> 10.0.0.1
        + out gre fd00::1 -> fd00::2
        - in esp 10.0.0.2 -> 10.0.0.1
    """,
    "host-service: tcp/9100\npeers: 10.0.0.0/24\nlocal: 10.0.0.1": """
        + in tcp 10.0.0.2:5000 -> 10.0.0.1:9100
        + out tcp 10.0.0.1:9100 -> 10.0.0.2:5000
        + out tcp 10.0.0.1:5000 -> 10.0.0.1:9100 dev lo
        + out tcp 10.0.0.1:9100 -> 10.0.0.1:5000 dev lo
        - in tcp 10.0.1.2:5000 -> 10.0.0.1:9100
        - in tcp 10.0.0.2:5000 -> 10.0.0.3:9100
        - in tcp 10.0.0.2:9100 -> 10.0.0.1:5000
        - out tcp 10.0.0.1:5000 -> 10.0.0.2:9100
        - forward tcp 10.0.0.2:5000 -> 10.0.0.1:9100
        - out tcp 127.0.0.1:5000 -> 127.0.0.1:9100 dev lo
    """,
    "host-service: tcp/9100\ninterfaces: [eth0]": """
        + in tcp 10.0.0.2:5000 -> 10.0.0.1:9100 dev eth0
        + out tcp 10.0.0.1:9100 -> 10.0.0.2:5000 dev eth0
        - in tcp 10.0.0.2:5000 -> 10.0.0.1:9100 dev eth1
        - out tcp 10.0.0.1:9100 -> 10.0.0.2:5000 dev eth1
        - out tcp 127.0.0.1:5000 -> 127.0.0.1:9100 dev lo
    """,
    "host-client: udp/53\npeers: 10.0.0.53": """
        + out udp 10.0.0.1:5000 -> 10.0.0.53:53
        + in udp 10.0.0.53:53 -> 10.0.0.1:5000
        - out udp 10.0.0.1:53 -> 10.0.0.53:5000
        - in udp 10.0.0.53:5000 -> 10.0.0.1:53
        - out udp 10.0.0.1:5000 -> 10.0.0.54:53
        - forward udp 10.0.0.1:5000 -> 10.0.0.53:53
    """,
    "host-client: udp/53": """
        + out udp 127.0.0.1:5000 -> 127.0.0.1:53 dev lo
        + out udp 127.0.0.1:53 -> 127.0.0.1:5000 dev lo
        + out udp [::1]:53 -> [::1]:5000 dev lo
    """,
    "forward: tcp/11211\nclients: 10.128.0.0/14\nservers: 10.0.9.0/24": """
        + forward tcp 10.129.0.1:5000 -> 10.0.9.1:11211
        + forward tcp 10.0.9.1:11211 -> 10.129.0.1:5000
        - forward tcp 10.0.9.1:5000 -> 10.129.0.1:11211
        - forward tcp 10.129.0.1:11211 -> 10.0.9.1:5000
        - forward tcp 10.129.0.1:5000 -> 10.0.8.1:11211
        - in tcp 10.129.0.1:5000 -> 10.0.9.1:11211
        - out tcp 10.0.9.1:11211 -> 10.129.0.1:5000
    """,
    "ports: udp/53": """
        + in udp 10.0.0.2:5000 -> 10.0.0.1:53
        + in udp 10.0.0.2:53 -> 10.0.0.1:5000
        + forward udp 10.0.0.2:5000 -> 10.0.0.1:53
        + forward udp 10.0.0.2:53 -> 10.0.0.1:5000
        + out udp 10.0.0.2:5000 -> 10.0.0.1:53
        + out udp [fd00::2]:53 -> [fd00::1]:5000
        - in udp 10.0.0.2:5000 -> 10.0.0.1:54
        - in tcp 10.0.0.2:5000 -> 10.0.0.1:53
    """,
    "ports: udp/53\npaths: [in, out]\nfamilies: [ipv4]": """
        + in udp 10.0.0.2:5000 -> 10.0.0.1:53
        - forward udp 10.0.0.2:5000 -> 10.0.0.1:53
        - in udp [fd00::2]:5000 -> [fd00::1]:53
    """,
    "match: {paths: [in], protocol: udp, source: 10.0.0.2, destination-ports: 53}": """
        + in udp 10.0.0.2:5000 -> 10.0.0.1:53
        - out udp 10.0.0.1:53 -> 10.0.0.2:5000
        - in udp 10.0.0.3:5000 -> 10.0.0.1:53
        - out udp 10.0.0.2:5000 -> 10.0.0.1:53
    """,
    "match: {paths: [in], protocol: udp, source: 10.0.0.2, destination-ports: 53, both-ways: true}": """
        + in udp 10.0.0.2:5000 -> 10.0.0.1:53
        + out udp 10.0.0.1:53 -> 10.0.0.2:5000
        + out udp 10.0.0.2:5000 -> 10.0.0.1:53 dev lo
        - out udp 10.0.0.2:5000 -> 10.0.0.1:53
        - in udp 10.0.0.1:53 -> 10.0.0.2:5000
    """,
    "match: {destination: 172.30.0.0/16, both-ways: true}\nacknowledge: a test": """
        + in icmp 10.0.0.1 -> 172.30.0.1
        + forward tcp 172.30.0.1:443 -> 10.0.0.1:5000
        + out udp 10.0.0.1:5000 -> 172.30.0.1:53
        - out udp 10.0.0.1:5000 -> 172.31.0.1:53
    """,
    "match: {source-ports: [udp/53, tcp/53], destination-ports: [udp/1024-65535, tcp/1024-65535]}": """
        + in udp 10.0.0.1:53 -> 10.0.0.2:1024
        + in tcp 10.0.0.1:53 -> 10.0.0.2:65535
        - in udp 10.0.0.1:53 -> 10.0.0.2:1023
        - in sctp 10.0.0.1:53 -> 10.0.0.2:1024
    """,
    "match: {protocol: gre, interfaces: [eth*]}": """
        + in gre 10.0.0.1 -> 10.0.0.2 dev eth0
        - in gre 10.0.0.1 -> 10.0.0.2 dev bond0
    """,
}

PACKETS = [(entry, line.strip()) for entry, lines in TABLE.items() for line in lines.strip().split("\n")]


def policy_of(entry: str) -> str:
    return HEAD + "bypass:\n  - name: a\n" + "".join(f"    {line}\n" for line in entry.split("\n"))


@pytest.mark.parametrize(("entry", "line"), PACKETS, ids=lambda text: text.replace("\n", ", "))
def test_packet_is_in_the_entry_as_the_table_says(entry: str, line: str) -> None:
    packet = parse_packet(line[2:])
    assert decide(load_text(policy_of(entry)), packet).untracked == (line[0] == "+")


def test_a_kind_has_as_many_legs_as_the_table_says() -> None:
    def count(entry: str) -> int:
        return len(legs(load_text(policy_of(entry)).bypass[0]))

    assert count("overlay: vxlan\nfamilies: [ipv4]") == 2
    assert count("host-service: tcp/9100\nfamilies: [ipv4]") == 3
    assert count("host-client: udp/53\nfamilies: [ipv4]") == 3
    assert count("forward: tcp/11211\nfamilies: [ipv4]") == 2
    assert count("ports: udp/53\nfamilies: [ipv4]") == 6
    assert count("match: {protocol: udp}\nfamilies: [ipv4]") == 3


def test_track_wins_and_both_are_named() -> None:
    policy = load_text(HEAD + "bypass: [{name: a, ports: udp/53}]\ntrack: [{name: b, host-service: udp/53}]\n")
    decision = decide(policy, parse_packet("in udp 10.0.0.2:5000 -> 10.0.0.1:53"))
    assert (decision.bypassed_by, decision.tracked_by, decision.untracked) == (("a",), ("b",), False)
