"""Lints of live rules: rules as their owners write them, loaded and read back. What is told, the kernel does."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import reduce
from operator import and_
from pathlib import Path as File
from random import Random

import pytest

from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.ruleset import Ruleset
from ctpolicy.nftables.space import ruleset_treatment
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.finding import Finding, Place, Severity
from ctpolicy.review.half_flows import Way, half_answers
from ctpolicy.review.live_lints import live_lints
from kernel.namespace import Namespace
from kernel.near import INTERFACES, packets_near
from kernel.test_foreign_rulesets import FILES, listed

pytestmark = pytest.mark.kernel

CILIUM = """
table ip raw_cilium {
    chain CILIUM_PRE_raw {
        type filter hook prerouting priority raw;
        ip daddr 10.0.0.9 udp dport 53 notrack
        ip saddr 10.0.0.9 udp sport 53 notrack
    }
    chain CILIUM_OUTPUT_raw {
        type filter hook output priority raw;
        ip saddr 10.0.0.9 udp sport 53 notrack
        ip daddr 10.0.0.9 udp dport 53 notrack
    }
}
"""
NODE_LOCAL_DNS = """
table ip node_local {
    chain prerouting {
        type filter hook prerouting priority raw;
        ip daddr 169.254.20.10 meta l4proto { tcp, udp } th dport 53 notrack comment "NodeLocal DNS Cache"
    }
    chain output {
        type filter hook output priority raw;
        ip saddr 169.254.20.10 meta l4proto { tcp, udp } th sport 53 notrack
        ip daddr 169.254.20.10 meta l4proto { tcp, udp } th dport 53 notrack
    }
}
"""
OVN = """
table inet ovn_notrack {
    chain prerouting { type filter hook prerouting priority PRIORITY; udp dport 6081 notrack; }
    chain output { type filter hook output priority PRIORITY; udp dport 6081 notrack; }
}
"""
SYNPROXY = """
table ip front {
    chain prerouting {
        type filter hook prerouting priority raw;
        iifname "eth0" tcp dport 80 tcp flags & (fin|syn|rst|ack) == syn notrack
    }
}
"""
WEB = """
table inet web {
    chain prerouting {
        type filter hook prerouting priority raw;
        LOOPBACK
        tcp dport { 80, 443 } notrack
    }
    chain output {
        type filter hook output priority raw;
        tcp sport { 80, 443 } notrack
    }
}
"""


def read(namespace: Namespace) -> Ruleset:
    return read_text(namespace.run("nft", "-j", "list", "ruleset").stdout)


def told(namespace: Namespace, *rules: str) -> list[Finding]:
    for text in rules:
        namespace.load(text)
    return live_lints(read(namespace))


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize("hook", ["input", "forward", "postrouting"])
def test_notrack_in_a_hook_after_conntrack_is_told(namespace: Namespace, hook: str) -> None:
    rules = f"table ip t {{\n chain c {{\n type filter hook {hook} priority -300;\n udp dport 53 notrack\n }}\n}}\n"
    (finding,) = told(namespace, rules)
    assert finding.code == "CT101"
    assert finding.about == Place("ip", "t", "c", 1)
    assert f"does nothing in {hook} at priority -300" in finding.message


@pytest.mark.parametrize(
    ("family", "hook"), [("bridge", "input"), ("bridge", "forward"), ("bridge", "output"), ("arp", "input")]
)
def test_notrack_where_ip_is_not_is_told(namespace: Namespace, family: str, hook: str) -> None:
    rules = f"table {family} t {{\n chain c {{\n type filter hook {hook} priority -300;\n notrack\n }}\n}}\n"
    assert codes(told(namespace, rules)) == ["CT101"]


@pytest.mark.parametrize(
    ("family", "hook"), [("bridge", "prerouting"), ("netdev", "ingress device eth0"), ("inet", "ingress device eth0")]
)
def test_notrack_before_ip_is_not_told(namespace: Namespace, family: str, hook: str) -> None:
    namespace.ip("link add eth0 type veth peer name eth1")
    rules = f"table {family} t {{\n chain c {{\n type filter hook {hook} priority -300;\n notrack\n }}\n}}\n"
    assert told(namespace, rules) == []


@pytest.mark.parametrize(("priority", "expected"), [("-201", []), ("-200", ["CT102"] * 2), ("filter", ["CT102"] * 2)])
def test_notrack_at_conntracks_priority_or_later_is_told(
    namespace: Namespace, priority: str, expected: list[str]
) -> None:
    found = told(namespace, OVN.replace("; }", "\n}").replace("PRIORITY;", f"{priority};").replace("; udp", ";\nudp"))
    assert codes(found) == expected
    for finding in found:
        assert isinstance(finding.about, Place)
        assert finding.about.owner == "OpenShift OVN-Kubernetes"


@pytest.mark.parametrize(
    "match", ['iif "lo"', 'iifname { "lo" }', 'iifname != "eth0" iifname "lo"', 'iifname vmap { "lo" : jump own }']
)
def test_notrack_of_loopback_in_prerouting_is_told(namespace: Namespace, match: str) -> None:
    rules = WEB.replace("LOOPBACK", match if "vmap" in match else f"{match} notrack")
    if "vmap" in match:
        rules = rules.replace("table inet web {", "table inet web {\nchain own {\nnotrack\n}\n")
    (finding,) = [finding for finding in told(namespace, rules) if finding.code != "CT105"]
    assert finding.code == "CT103"
    assert finding.about == Place("inet", "web", *(("own", 1) if "vmap" in match else ("prerouting", 1)))


@pytest.mark.parametrize(
    "match", ['iifname { "lo", "eth0" } notrack', 'iifname "l*" notrack', 'iifname != "lo" notrack']
)
def test_notrack_of_more_than_loopback_is_not_told(namespace: Namespace, match: str) -> None:
    assert {"CT103", "CT104"}.isdisjoint(codes(told(namespace, WEB.replace("LOOPBACK", match))))


def test_a_chain_without_a_hook_is_told(namespace: Namespace) -> None:
    chain = {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "prerouting", "policy": "accept"}
    rule = {"family": "inet", "table": "t", "chain": "c", "expr": [{"notrack": None}], "comment": "cali:x"}
    table = {"add": {"table": {"family": "inet", "name": "t"}}}
    without = {key: value for key, value in chain.items() if key in {"family", "table", "name"}}
    commands = [table, {"add": {"chain": {**chain, "prio": "raw"}}}, {"add": {"rule": rule}}]
    namespace.run("nft", "-j", "-f", "-", stdin=json.dumps({"nftables": commands}))
    if "hook" in namespace.ruleset():  # an nft that takes names of priorities
        commands[1] = {"add": {"chain": without}}
        namespace.load("delete table inet t")
        namespace.run("nft", "-j", "-f", "-", stdin=json.dumps({"nftables": commands}))
    (finding,) = live_lints(read(namespace))
    assert finding.code == "CT104"
    assert finding.about == Place("inet", "t", "c", 1, "Calico")
    assert '"prio": "raw"' in finding.message


def test_what_no_interface_can_meet_is_told(namespace: Namespace) -> None:
    found = told(namespace, WEB.replace("LOOPBACK", 'oifname "eth0" udp dport 18 notrack'))
    assert "CT104" in codes(found)


TUNNELS = {4789, 6081}
BOTH = """
table inet t {
    map m { typeof meta mark : verdict; elements = { 1 : jump marked }; }
    chain shared { udp dport 53 notrack; }
    chain marked { udp dport 54 notrack; }
    chain raw { type filter hook prerouting priority raw; HERE }
    chain input { type filter hook input priority filter; jump shared; meta mark vmap @m; }
    chain out { type filter hook output priority raw; udp sport 53 notrack; udp sport 54 notrack; }
}
"""


@pytest.mark.parametrize(("here", "expected"), [("jump shared;", []), ("accept;", ["CT101"])])
def test_a_rule_is_useless_only_if_it_is_from_every_base_chain(
    namespace: Namespace, here: str, expected: list[str]
) -> None:
    found = told(namespace, BOTH.replace("HERE", here).replace("}", "\n}").replace("{", "{\n").replace(";", ";\n"))
    assert codes([finding for finding in found if finding.about == Place("inet", "t", "shared", 1)]) == expected
    marked = [finding for finding in found if finding.about == Place("inet", "t", "marked", 1)]
    assert codes(marked) == ["CT101"], "a map that is not modelled leads anywhere, but only from where it is asked"


def test_a_dormant_table_is_not_told(namespace: Namespace) -> None:
    rules = "table ip t {\n flags dormant\n chain c {\n type filter hook input priority 0;\n notrack\n }\n}\n"
    assert told(namespace, rules) == []


def test_our_own_table_is_not_foreign(namespace: Namespace) -> None:
    rules = "table inet ctpolicy {\n chain c {\n type filter hook input priority 0;\n notrack\n }\n}\n"
    assert told(namespace, rules) == []


@pytest.mark.parametrize("rules", [CILIUM, OVN.replace("PRIORITY", "raw"), SYNPROXY])
def test_whole_flows_tunnels_and_synproxy_are_no_half_flows(namespace: Namespace, rules: str) -> None:
    assert told(namespace, rules.replace("; }", "\n}").replace("; udp", ";\nudp")) == []


def test_the_web_front_end_is_half_where_it_is_client_or_router_which_is_information(namespace: Namespace) -> None:
    found = told(namespace, WEB.replace("LOOPBACK", ""))
    assert {(finding.code, finding.severity) for finding in found} == {("CT105", Severity.INFORMATION)}
    forwarded, loopback = (finding.witness for finding in found)
    assert forwarded is not None
    assert loopback is not None
    assert (forwarded.path, forwarded.destination_port in {80, 443}) == (Path.FORWARD, True)
    assert (loopback.interface, loopback.source_port in {80, 443}) == (LOOPBACK, True)


def test_node_local_dns_is_whole_but_for_what_a_router_passes_on(namespace: Namespace) -> None:
    (finding,) = told(namespace, NODE_LOCAL_DNS)
    assert (finding.code, finding.severity) == ("CT105", Severity.INFORMATION)
    assert finding.witness is not None
    assert finding.witness.path is Path.FORWARD


def test_node_local_dns_without_its_output_rules_is_half(namespace: Namespace) -> None:
    (finding,) = told(namespace, NODE_LOCAL_DNS.split("    chain output")[0] + "}\n")
    assert (finding.code, finding.severity) == ("CT105", Severity.WARNING)


def test_what_another_table_bypasses_makes_a_flow_whole(namespace: Namespace) -> None:
    there, back = CILIUM.split("    chain CILIUM_OUTPUT_raw")
    assert codes(told(namespace, there + "}")) == ["CT105"]
    other = "table ip other {\n    chain CILIUM_OUTPUT_raw"
    assert told(namespace, other + back) == []


def test_what_may_be_bypassed_before_ip_is_no_certain_half_flow(namespace: Namespace) -> None:
    _, back = CILIUM.split("    chain CILIUM_OUTPUT_raw")
    assert codes(told(namespace, "table ip other {\n    chain CILIUM_OUTPUT_raw" + back)) == ["CT105"]
    namespace.ip("link add eth0 type veth peer name eth1")
    ingress = (
        "table netdev n {\n chain c {\n type filter hook ingress device eth0 priority 0;\n udp sport 53 notrack\n }\n}"
    )
    assert [finding for finding in told(namespace, ingress) if finding.severity is Severity.WARNING] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_kernel_does_what_a_half_flow_says(oracle: Oracle, file: File) -> None:

    for world in oracle.worlds:
        world.namespace.load(file.read_text())
    ruleset = listed(oracle)
    try:
        shown = [finding.witness for finding in live_lints(ruleset) if finding.code == "CT105" and finding.witness]
        pairs = [(packet, packet.reverse()) for packet in shown]
        sent = [pair for pair in pairs if all(map(can_be_sent, pair))]
        answers = oracle.untracked([packet for pair in sent for packet in pair])
    finally:
        for world in oracle.worlds:
            world.namespace.load("".join(f"delete table {table.family} {table.name}\n" for table in ruleset))
    print(file.stem, [str(packet) for packet in shown], len(sent))
    assert answers == [True, False] * len(sent)
    assert bool(shown) is (file.stem != "openshift-ovn")


def way_of(packet: Packet) -> Way:
    if packet.interface == LOOPBACK:
        return Way.LOOPBACK
    return {Path.IN: Way.IN, Path.OUT: Way.OUT, Path.FORWARD: Way.FORWARDED}[packet.path]


def by_all(packet: Packet, path: Path | None = None) -> list[Packet]:
    """The packet by whichever interface; what goes by `lo` goes by no other."""
    names = (LOOPBACK,) if packet.interface == LOOPBACK else INTERFACES
    return [replace(packet, path=path or packet.path, interface=name) for name in names]


def is_to_this_host(packet: Packet, untracked: PacketSpace, tracked: PacketSpace) -> bool:
    """Whether rules bypass it as what comes to a service here, and its answer on `lo`."""
    if way_of(packet) is not Way.OUT:
        return False
    back = replace(packet.reverse(), path=Path.OUT, interface=LOOPBACK)
    return back not in tracked and any(same in untracked for same in by_all(packet, Path.IN))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_half_flows_are_what_each_packet_and_its_answers_say(namespace: Namespace, file: File) -> None:
    namespace.load(file.read_text())
    ruleset = read(namespace)
    host = reduce(and_, (ruleset_treatment((table,)) for table in ruleset), Treatment.none())
    untracked, tracked = host.untracked.certainly, host.tracked
    half = {way: half_answers(untracked, ~tracked, way) for way in Way}
    found = 0
    for packet in packets_near(ruleset, Random(file.stem), 4000):
        ends = {packet.source, packet.destination}
        on_wire = way_of(packet) is not Way.LOOPBACK
        if any(end.is_multicast or (on_wire and end.is_loopback) for end in ends) or packet.destination_port in TUNNELS:
            continue
        expected = (
            any(same in untracked for same in by_all(packet))
            and all(answer in tracked for answer in by_all(packet.reverse()))
            and not is_to_this_host(packet, untracked, tracked)
        )
        assert (packet.reverse() in half[way_of(packet)]) is expected, packet
        found += expected
    assert found or file.stem == "openshift-ovn"
