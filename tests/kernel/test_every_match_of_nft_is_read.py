"""Rules with all that nft can ask, as the kernel lists them: none stops the walk; none that is open is certain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctpolicy.hazards.fates import LOST
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Base, Hook, HostRules, Rule, policy_step
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.nftables.host_rules import host_rules
from ctpolicy.nftables.read import read_text
from ctpolicy.packetspace.space import PacketSpace
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

MODELLED = (
    *("ip saddr 10.0.0.0/8", "ip daddr 10.0.0.1-10.0.0.9", "ip daddr & 255.0.0.0 == 10.0.0.0", "ip6 saddr fd00::/8"),
    *("ip saddr != { 10.0.0.1, 10.1.0.0/16 }", "ip protocol tcp", "tcp sport 1-1023", "udp dport > 1023"),
    *("udplite dport 5", "sctp sport 5", "dccp dport 5", "meta l4proto esp", "meta nfproto ipv6", "meta protocol ip"),
    *('iifname "eth*"', 'iifname { "eth0", "lo" }', 'oifname != "eth0"', 'iif != "lo"', "icmp type echo-request"),
    *("icmpv6 type { echo-request, packet-too-big }", "ct state new", "ct state != established", "ct direction reply"),
    *("ct state & (new | established) == new", "fib daddr type local", "fib daddr type != { local, broadcast }"),
    *("ip saddr . tcp dport { 10.0.0.1 . 22 }", "meta l4proto . th dport { udp . 53 }"),
)
OPEN = (
    *("meta mark 1", "meta mark & 0xff == 1", "meta mark != 1", "meta priority 1:2", "meta length 100-200"),
    *("meta iifgroup 3", "meta iiftype ether", "meta pkttype multicast", "meta cpu 1", "meta skuid 0", "meta skgid 0"),
    *("meta rtclassid 1", "meta cgroup 1", 'meta day "Monday"', 'meta hour "10:00"-"12:00"', "meta random < 5"),
    *("limit rate 10/second", "limit rate over 1 mbytes/second", "quota over 1 mbytes", "ct count over 5"),
    *(
        "ip dscp cs1",
        "ip ttl 64",
        "ip length 100",
        "ip id 5",
        "ip frag-off & 0x1fff != 0",
        "ip hdrlength 5",
        "ip ecn ce",
    ),
    *("ip version 4", "ip checksum 5", "ip6 flowlabel 5", "ip6 hoplimit 64", "ip6 nexthdr tcp", "ip6 length 5"),
    *(
        "tcp flags & (syn | ack) == syn",
        "tcp flags syn",
        "tcp sequence 5",
        "tcp window 5",
        "tcp option maxseg size 500",
    ),
    *("tcp option sack-permitted exists", "udp length 5", "icmp code 4", "icmp id 5", "icmp mtu 5", "icmpv6 code 0"),
    *("esp spi 5", "ah spi 5", "comp cpi 5", "sctp vtag 5", "dccp type request", "ether saddr 00:11:22:33:44:55"),
    *("vlan id 5", "exthdr frag exists", "exthdr rt exists", "frag more-fragments 1", "rt type 0", "hbh nexthdr tcp"),
    *("fib saddr . iif oif missing", "fib saddr type local", "fib daddr . iif type local", "rt classid 5"),
    *("socket transparent 1", "socket mark 5", "socket wildcard 0", "numgen random mod 10 0", "numgen inc mod 2 1"),
    *("jhash ip saddr mod 2 0", "symhash mod 2 0", "@th,32,16 5", "@nh,8,8 5", 'osf name "Linux"', "ipsec in reqid 5"),
    *("ip saddr @dynamic_", "add @dynamic_ { ip saddr }", "meter m_ { ip saddr limit rate 5/second }"),
)
OF_AN_ENTRY = (
    *("ct mark 1", "ct mark != 1", "ct mark & 1 == 1", 'ct helper "ftp"', "ct zone 1", "ct original ip saddr 10.0.0.1"),
    *("ct reply ip daddr 10.0.0.1", "ct bytes > 100", "ct original packets > 5", "ct avgpkt > 5", "ct expiration > 5s"),
    *("ct label 1", "ct l3proto ipv4", "ct original protocol tcp", "ct status dnat", "ct status != snat", "ct id 5"),
)


def read(namespace: Namespace, matches: tuple[str, ...]) -> dict[str, HostRules]:
    """Each in a host of its own, which drops at input what it holds for."""
    chains = "\n".join(f"chain c{number}_ {{ {match} drop; }}" for number, match in enumerate(matches))
    dynamic = "set dynamic_ { type ipv4_addr; flags dynamic; size 100; }"
    namespace.load(f"table inet t {{\n{dynamic}\n{chains}\n}}\n")
    (table,) = host_rules(read_text(namespace.run("nft", "-j", "list", "ruleset").stdout)).tables
    base = Base(Hook.INPUT, 0, False, policy_step(Rule("policy accept"), drops=False))
    found = {}
    for number, match in enumerate(matches):
        chain = replace(table.chains[f"c{number}_"], base=base)
        found[match] = HostRules((replace(table, chains={chain.name: chain}),))
    return found


def drops(host: HostRules, situation: Situation) -> tuple[PacketSpace, PacketSpace]:
    found = walk(host, Route.IN, situation, PacketSpace.all())
    return found.certainly(LOST), found.possibly(LOST)


NOT_TOLD = ("icmp", "fib", "th dport", "ct direction")
"""What an ICMP type, a kind of destination, a port of a protocol without ports or the direction of an error is, is not
told of all packets."""


def test_what_is_modelled_is_exact(namespace: Namespace) -> None:
    for match, host in read(namespace, MODELLED).items():
        answers = [drops(host, situation) for situation in Situation]
        if not any(word in match for word in NOT_TOLD):
            assert all(certainly == possibly for certainly, possibly in answers), match
        assert any(possibly for _, possibly in answers), match


def test_what_is_not_modelled_is_possible_and_never_certain(namespace: Namespace) -> None:
    for match, host in read(namespace, OPEN).items():
        for situation in Situation:
            certainly, possibly = drops(host, situation)
            assert not certainly, match
            assert possibly, match


def test_what_is_asked_of_an_entry_is_possible_where_there_is_one(namespace: Namespace) -> None:
    for match, host in read(namespace, OF_AN_ENTRY).items():
        for situation in Situation:
            certainly, possibly = drops(host, situation)
            assert not certainly, match
            assert bool(possibly) is (situation not in {Situation.UNTRACKED, Situation.INVALID}), match
