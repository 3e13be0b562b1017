"""What the compiler takes for granted about the kernel and nft, each fact as a test: another kernel tells us here."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from kernel.hosts import (
    FIREWALL,
    HERE_V4,
    THERE_V4,
    THERE_V6,
    Pair,
    give_addresses,
    pair,
    ping,
    set_up,
    states,
    tcp,
    udp,
)
from kernel.namespace import Namespace, join, make_namespace

pytestmark = pytest.mark.kernel


@pytest.fixture
def hosts() -> Iterator[Pair]:
    with pair() as joined:
        yield joined


def notrack(hook: str, match: str = "udp dport 53", priority: int = -300) -> str:
    return f"""
table inet bypass {{
  counter hits {{ }}
  chain {hook} {{
    type filter hook {hook} priority {priority};
    {match} counter name hits notrack
  }}
}}
"""


def hits(host: Namespace) -> int:
    listing = json.loads(host.run("nft", "-j", "list", "counters", "table", "inet", "bypass").stdout)
    return sum(item["counter"]["packets"] for item in listing["nftables"] if "counter" in item)


def test_notrack_in_prerouting_at_raw_priority_keeps_packets_from_conntrack(hosts: Pair) -> None:
    hosts.there.load(notrack("prerouting"))
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert states(hosts.there)["untracked"] == 1
    assert hits(hosts.there) == 1


@pytest.mark.parametrize(
    ("hook", "priority"),
    [("prerouting", -199), ("prerouting", -150), ("input", -300), ("input", 0)],
)
def test_notrack_elsewhere_is_accepted_and_does_nothing(hosts: Pair, hook: str, priority: int) -> None:
    hosts.there.load(notrack(hook, priority=priority))
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert hits(hosts.there) == 1
    assert states(hosts.there)["untracked"] == 0
    assert len(hosts.there.conntrack("-p", "udp")) == 1


def test_notrack_beside_conntrack_comes_first_if_it_is_loaded_last(hosts: Pair) -> None:
    hosts.there.load(notrack("prerouting", priority=-200))
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert states(hosts.there)["untracked"] == 1


@pytest.mark.parametrize(
    ("family", "hook", "untracked"),
    [
        ("netdev", "ingress device eth0", 1),
        ("inet", "ingress device eth0", 1),
        ("netdev", "egress device eth0", 0),
        ("bridge", "prerouting", 1),
        ("bridge", "input", 0),
        ("arp", "input", 0),
    ],
)
def test_notrack_before_ip_holds_and_elsewhere_outside_ip_does_nothing(
    hosts: Pair, family: str, hook: str, untracked: int
) -> None:
    if family == "bridge":
        hosts.there.ip(
            "link add br0 type bridge",
            "addr flush dev eth0",
            "link set eth0 master br0",
            f"addr add {THERE_V4}/24 dev br0",
        )
        hosts.there.ip("link set br0 up")
    hosts.there.load(f"table {family} t {{\n chain c {{\n type filter hook {hook} priority 0;\n notrack\n }}\n}}\n")
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert states(hosts.there)["untracked"] == untracked


def test_without_a_user_of_conntrack_there_are_no_entries_at_all(namespace: Namespace) -> None:
    udp(namespace, namespace, "127.0.0.1", 53)
    assert namespace.conntrack() == []
    namespace.load(FIREWALL)
    udp(namespace, namespace, "127.0.0.1", 53)
    assert len(namespace.conntrack("-p", "udp")) == 1


def test_loopback_is_decided_at_output_and_stays_decided_in_prerouting(namespace: Namespace) -> None:
    namespace.load(FIREWALL + notrack("output", "udp dport 53") + notrack("output", "udp sport 53"))
    udp(namespace, namespace, "127.0.0.1", 53)
    assert states(namespace)["untracked"] == 4  # request and answer, each at output and at input
    assert namespace.conntrack() == []


def test_notrack_in_prerouting_does_nothing_to_loopback_though_it_counts(namespace: Namespace) -> None:
    namespace.load(FIREWALL + notrack("prerouting"))
    udp(namespace, namespace, "127.0.0.1", 53)
    assert hits(namespace) == 1
    assert states(namespace)["untracked"] == 0
    assert len(namespace.conntrack("-p", "udp")) == 1


def test_forwarded_packets_meet_prerouting_and_not_output() -> None:
    with make_namespace() as client, make_namespace() as router, make_namespace() as server:
        for host in (client, router, server):
            set_up(host)
        join(client, router, ("eth0", "eth0"))
        join(server, router, ("eth0", "eth1"))
        give_addresses(client, "eth0", "10.2.0.2/24")
        give_addresses(server, "eth0", "10.3.0.2/24")
        give_addresses(router, "eth0", "10.2.0.1/24")
        give_addresses(router, "eth1", "10.3.0.1/24")
        router.write("ipv4/ip_forward", 1)
        client.ip("route add default via 10.2.0.1")
        server.ip("route add default via 10.3.0.1")
        router.load(notrack("output", "meta l4proto udp"))
        udp(client, server, "10.3.0.2", 11211)
        assert hits(router) == 0
        assert states(router)["untracked"] == 0
        router.load("delete table inet bypass" + notrack("prerouting", "meta l4proto udp"))
        udp(client, server, "10.3.0.2", 11211)
        assert hits(router) == 2
        assert states(router)["untracked"] == 2


def test_nat_is_skipped_silently_for_untracked_packets(hosts: Pair) -> None:
    hosts.there.load(
        """
        table ip nat {
          chain prerouting { type nat hook prerouting priority -100; udp dport { 53, 54 } redirect to :5353; }
        }
        """
    )
    hosts.there.load(notrack("prerouting"))
    with hosts.there.entered():
        plain, redirected = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with hosts.here.entered():
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with plain, redirected, asking:
        plain.bind((THERE_V4, 53))
        redirected.bind((THERE_V4, 5353))
        for one in (plain, redirected):
            one.settimeout(5)
        asking.sendto(b"bypassed", (THERE_V4, 53))
        asking.sendto(b"tracked", (THERE_V4, 54))
        assert plain.recv(100) == b"bypassed"
        assert redirected.recv(100) == b"tracked"


def test_the_answer_to_a_half_bypassed_request_is_a_reversed_new_entry(hosts: Pair) -> None:
    hosts.there.load(notrack("prerouting"))
    udp(hosts.here, hosts.there, THERE_V4, 53)
    (entry,) = hosts.there.conntrack("-p", "udp")
    assert f"src={THERE_V4} dst={HERE_V4} sport=53" in entry
    assert "[UNREPLIED]" in entry


def test_the_answer_to_a_half_bypassed_connection_is_invalid(hosts: Pair) -> None:
    hosts.there.load(notrack("prerouting", "tcp dport 80"))
    tcp(hosts.here, hosts.there, THERE_V4, 80)
    seen = states(hosts.there)
    assert seen["untracked"] > 0
    assert seen["invalid"] > 0
    assert seen["established"] == 0


def test_both_versions_of_ip_meet_one_inet_chain(hosts: Pair) -> None:
    hosts.there.load(notrack("prerouting"))
    udp(hosts.here, hosts.there, THERE_V4, 53)
    udp(hosts.here, hosts.there, THERE_V6, 53)
    assert hits(hosts.there) == 2
    assert states(hosts.there)["untracked"] == 2


@pytest.mark.parametrize("address", [THERE_V4, THERE_V6])
def test_ports_match_in_every_fragment_because_defragmentation_comes_first(hosts: Pair, address: str) -> None:
    hosts.there.load(notrack("prerouting"))
    domain = socket.AF_INET6 if ":" in address else socket.AF_INET
    with hosts.there.entered():
        answering = socket.socket(domain, socket.SOCK_DGRAM)
    with hosts.here.entered():
        asking = socket.socket(domain, socket.SOCK_DGRAM)
    with answering, asking:
        answering.bind((address, 53))
        answering.settimeout(5)
        asking.sendto(bytes(4000), (address, 53))
        assert len(answering.recv(5000)) == 4000
    assert hits(hosts.there) == 1
    assert states(hosts.there)["untracked"] == 1


def test_neighbour_discovery_is_untracked_without_any_rule(hosts: Pair) -> None:
    ping(hosts.here, THERE_V6, 1)
    assert states(hosts.there)["discovery"] > 0
    assert states(hosts.there)["untracked"] == 0


def test_an_entry_that_was_there_does_not_keep_packets_tracked(hosts: Pair) -> None:
    with hosts.there.entered():
        answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with hosts.here.entered():
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with answering, asking:
        answering.bind((THERE_V4, 53))
        answering.settimeout(5)
        asking.sendto(b"first", (THERE_V4, 53))
        answering.recv(100)
        assert states(hosts.there)["untracked"] == 0
        hosts.there.load(notrack("prerouting"))
        asking.sendto(b"second", (THERE_V4, 53))
        answering.recv(100)
        assert states(hosts.there)["untracked"] == 1
        assert len(hosts.there.conntrack("-p", "udp")) == 1


def test_a_priority_that_is_a_string_makes_a_chain_without_a_hook(namespace: Namespace) -> None:
    chain = {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "prerouting", "policy": "accept"}
    for priority in ("raw", -300):
        commands = [
            {"add": {"table": {"family": "inet", "name": "t"}}},
            {"delete": {"table": {"family": "inet", "name": "t"}}},
            {"add": {"table": {"family": "inet", "name": "t"}}},
            {"add": {"chain": {**chain, "prio": priority}}},
        ]
        namespace.run("nft", "-j", "-f", "-", stdin=json.dumps({"nftables": commands}))
        hooked = "hook prerouting" in namespace.ruleset()
        if priority == -300:
            assert hooked
        else:
            assert not hooked, "this nft takes names of priorities; integers are still what every version takes"


@pytest.mark.parametrize(
    ("destination", "kind"),
    [
        ("10.1.0.2", "local"),
        ("127.0.0.1", "local"),
        ("10.1.0.255", "broadcast"),
        ("255.255.255.255", "broadcast"),
        ("224.0.0.251", "multicast"),
        ("192.0.2.1", "unicast"),
    ],
)
def test_fib_tells_who_takes_a_destination(hosts: Pair, destination: str, kind: str) -> None:
    hosts.there.ip("route add default dev eth0")
    hosts.there.load(notrack("prerouting", f"ip daddr {destination} fib daddr type {kind}"))
    hardware = json.loads(hosts.there.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
    packet = bytes.fromhex("45000020000100004011") + bytes(2) + socket.inet_aton(HERE_V4)
    packet += socket.inet_aton(destination) + bytes.fromhex("0035003500080000")
    packet = packet[:2] + len(packet).to_bytes(2) + packet[4:]
    total = sum(int.from_bytes(packet[at : at + 2]) for at in range(0, 20, 2))
    packet = packet[:10] + (~((total >> 16) + total) & 0xFFFF).to_bytes(2) + packet[12:]
    with hosts.here.entered():
        writing = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with writing:
        writing.bind(("eth0", 0))
        writing.send(bytes.fromhex(hardware.replace(":", "")) + bytes(6) + b"\x08\x00" + packet)
    assert hits(hosts.there) == 1


def test_fib_tells_multicast_of_ipv6(hosts: Pair) -> None:
    hosts.there.load(notrack("prerouting", "icmpv6 type echo-request fib daddr type multicast"))
    hosts.here.run("ping", "-c", "1", "-W", "1", "-I", "eth0", "ff02::1", check=False)
    assert hits(hosts.there) == 1


def test_accept_at_raw_is_not_the_last_word_about_the_packet(hosts: Pair) -> None:
    hosts.there.load(
        """
        table inet bypass {
          chain prerouting { type filter hook prerouting priority -300; udp dport 53 accept; }
          chain later { type filter hook prerouting priority -299; udp dport 53 notrack; }
        }
        """
    )
    udp(hosts.here, hosts.there, THERE_V4, 53)
    assert states(hosts.there)["untracked"] == 1
