"""The compiler's output is broken on purpose, one way at a time: the review's proof catches every one, with a witness.

Each fault is tried in two places. As the renderer's: what was compiled is right, and the tools are given another thing.
And as the compiler's: what is rendered is what was compiled, and that is wrong. The witness is then held against the
second reading of the rules (evaluate.py), which knows nothing of sets of packets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pytest

from ctpolicy.errors import CtpolicyError
from ctpolicy.iptables.ruleset import RawTables
from ctpolicy.language.load import load_text
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.review.proofs import IPTABLES, IPTABLES_ALONE, proof_of, proof_of_rendered
from ctpolicy.review.review import Check, Level, Result

POLICY: Final = load_text("""
apiVersion: ctpolicy/v1
name: to-be-broken
groups:
  nodes: [192.168.7.0/24, 10.1.0.0/16, "fd00:7::/64"]
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
  - {name: metrics, host-service: [tcp/9100-9110, tcp/9537], peers: nodes, interfaces: [eth0, "bond*"]}
  - {name: memcached, forward: tcp/11211, clients: 10.128.0.0/14}
  - {name: dns, host-client: udp/53, peers: 192.168.7.53}
  - {name: busy, ports: [udp/20000, udp/20002, udp/20004-20999]}
  - {name: tunnel, overlay: gre}
track:
  - {name: one-node, match: {source: 192.168.7.9, both-ways: true}}
  - {name: ssh, host-service: udp/20500}
""")


@dataclass(frozen=True)
class Fault:
    """In the first line that has `where` and `old` in it, `new` takes the place of `old`; None: the line goes."""

    name: str
    where: str
    old: str = ""
    new: str | None = None

    def __str__(self) -> str:
        return self.name

    def of(self, lines: list[str]) -> list[str]:
        at = next(at for at, line in enumerate(lines) if self.where in line and self.old in line)
        put = [] if self.new is None else [lines[at].replace(self.old, self.new, 1)]
        assert put != [lines[at]]
        return [*lines[:at], *put, *lines[at + 1 :]]


@dataclass(frozen=True)
class Moved(Fault):
    """The first line that has `where` in it takes the place of the first that has `old`."""

    def of(self, lines: list[str]) -> list[str]:
        moved = next(line for line in lines if self.where in line)
        left = [line for line in lines if line is not moved]
        at = next(at for at, line in enumerate(left) if self.old in line)
        return [*left[:at], moved, *left[at:]]


def rule(chain: str) -> str:
    return f'"chain": "{chain}", "expr"'


def named(name: str) -> str:
    return f'"name": "{name}"'


OF_NFTABLES: Final = (
    Fault("a prefix is gone", named("nodes_v4"), ', {"prefix": {"addr": "192.168.7.0", "len": 24}}', ""),
    Fault("a prefix comes", named("nodes_v4"), '"elem": [', '"elem": ["10.0.0.1", '),
    Fault("a prefix is wider", named("nodes_v4"), '"len": 24', '"len": 23'),
    Fault("a prefix is narrower", named("nodes_v4"), '"len": 24', '"len": 25'),
    Fault("a prefix of ipv6 is wider", rule("prerouting_udp_dport_vxlan"), '"len": 64', '"len": 63'),
    Fault("a set is of ipv6", named("nodes_v4"), '"ipv4_addr"', '"ipv6_addr"'),
    Fault("a set is not made", named("nodes_v4")),
    Fault("a port is one more", named("prerouting_udp_dport"), "4789", "4790"),
    Fault("a port is one less", named("output_udp_dport"), "4789", "4788"),
    Fault("a port is another's", named("prerouting_udp_sport"), "20002", "20003"),
    Fault(
        "a port comes",
        named("output_tcp_sport"),
        '"elem": [',
        '"elem": [[22, {"goto": {"target": "bypass_metrics"}}], ',
    ),
    Fault("a range ends early", named("prerouting_udp_dport_ranges"), "20999", "20998"),
    Fault("a range begins early", named("output_udp_sport_ranges"), "20004", "20003"),
    Fault("a range ends late", named("prerouting_tcp_dport_ranges"), "9110", "9111"),
    Fault("a map is not made", named("prerouting_tcp_sport")),
    Fault("a track port is off by one", named("output_track_udp_sport"), "20500", "20501"),
    Fault("a track port leads to a bypass", named("output_track_udp_lo_dport"), "track_ssh", "bypass_busy"),
    Fault(
        "a bypass port leads to a track",
        named("output_udp_dport"),
        '"goto": {"target": "bypass_busy"}',
        '"goto": {"target": "track_ssh"}',
    ),
    Fault("a port leads to another entry", named("prerouting_udp_sport"), "prerouting_udp_sport_dns", "bypass_busy"),
    Fault("a protocol is another", named("prerouting_protocols"), "[47,", "[46,"),
    Fault("a protocol is gone", named("output_protocols"), ', [47, {"goto": {"target": "bypass_tunnel"}}]', ""),
    Fault("protocols lead to each other's chains", named("output_protocols"), "output_tcp", "output_udp"),
    Fault("a jump leads elsewhere", named("prerouting_protocols"), "prerouting_gre", "prerouting_udp"),
    Fault("a jump leads to what is not there", named("prerouting_protocols"), "prerouting_gre", "prerouting_esp"),
    Fault("the chain of an entry is not made", '"chain": {', '"name": "bypass_dns"'),
    Fault("an entry's rule is not made", rule("bypass_dns")),
    Fault("notrack is gone", rule("bypass_vxlan"), '{"notrack": null}, ', ""),
    Fault("a track entry says notrack", rule("track_ssh"), '{"accept"', '{"notrack": null}, {"accept"'),
    Fault("a bypass entry drops", rule("bypass_tunnel"), '"accept"', '"drop"'),
    Fault("a track entry drops", rule("track_one-node"), '"accept"', '"drop"'),
    Fault(
        "a track entry is passed over", rule("output"), '{"goto": {"target": "track_one-node"}}', '{"continue": null}'
    ),
    Fault("prerouting hangs on output", named("prerouting"), '"hook": "prerouting"', '"hook": "output"'),
    Fault("prerouting hangs on input", named("prerouting"), '"hook": "prerouting"', '"hook": "input"'),
    Fault("output hangs on postrouting", named("output"), '"hook": "output"', '"hook": "postrouting"'),
    Fault("priority is conntrack's", named("prerouting"), "-300", "-200"),
    Fault("priority is mangle's", named("output"), "-300", "-150"),
    Fault("priority is before defragmentation", named("prerouting"), "-300", "-450"),
    Fault("priority is a word", named("output"), "-300", '"raw"'),
    Fault("there is no priority", named("output"), ', "prio": -300', ""),
    Fault("the type is nat", named("prerouting"), '"filter"', '"nat"'),
    Fault("the type is route", named("output"), '"filter"', '"route"'),
    Fault("the policy is drop", named("output"), '"policy": "accept"', '"policy": "drop"'),
    Fault("no chain hangs on output", named("output"), ', "type": "filter", "hook": "output", "prio": -300', ""),
    Fault("the table is of ip alone", '"table": {"family"', '"inet"', '"ip"'),
    Fault("source and destination are swapped", rule("prerouting_udp_dport_vxlan"), '"saddr"', '"daddr"'),
    Fault("destination and source are swapped", rule("output_udp_dport_dns"), '"daddr"', '"saddr"'),
    Fault("ports are swapped", rule("prerouting_udp"), '"dport"', '"sport"'),
    Fault("ports are swapped back", rule("output_tcp"), '"sport"', '"dport"'),
    Fault("a lookup asks another protocol", rule("prerouting_tcp"), '"tcp"', '"sctp"'),
    Fault("a lookup is not made", rule("output_udp"), "@output_udp_dport_ranges", None),
    Fault("a lookup asks another map", rule("prerouting_udp"), "@prerouting_udp_dport_ranges", "@prerouting_udp_dport"),
    Fault("an address is of the other family", rule("output_udp_dport_vxlan"), '"ip6"', '"ip"'),
    Fault("an address is negated", rule("output_udp_dport_dns"), '"=="', '"!="'),
    Fault("an address is another", rule("prerouting"), "192.168.7.9", "192.168.7.8"),
    Fault(
        "a condition on fib is gone",
        rule("prerouting_gre"),
        '{"match": {"op": "==", "left": {"fib": {"result": "type", "flags": ["daddr"]}}, "right": "@taken_by_host"}}, ',
        "",
    ),
    Fault("a condition on fib is negated", rule("prerouting_tcp_dport_memcached"), '"!="', '"=="'),
    Fault("a condition on fib is about the source", rule("prerouting_gre"), '["daddr"]', '["saddr"]'),
    Fault("a type of address is gone", named("taken_by_host"), ', "multicast"', ""),
    Fault("a type of address comes", named("taken_by_host"), '"local"', '"local", "unicast"'),
    Fault("an interface is a wildcard", rule("prerouting_tcp_dport_metrics"), '"eth0"', '"eth0*"'),
    Fault("a wildcard is an interface", rule("output_tcp_sport_metrics"), '"bond*"', '"bond"'),
    Fault("the interface is the outgoing one", rule("prerouting_tcp_dport_metrics"), "iifname", "oifname"),
    Fault(
        "an interface is not asked",
        rule("output_udp"),
        '{"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "lo"}}, ',
        "",
    ),
    Fault("everything is accepted first", rule("prerouting"), '"right": "lo"', '"right": "*"'),
    Moved("a track is asked after a bypass", "@output_udp_sport_ranges", "@output_track_udp_sport"),
    Moved("bypasses are asked before tracks", '"@prerouting_protocols"', rule("prerouting")),
    Fault(
        "a table is not modelled",
        rule("output_udp_dport_dns"),
        '"expr": [',
        '"expr": [{"limit": {"rate": 1, "per": "second"}}, ',
    ),
)

METRICS_IN: Final = "-A CTPOLICY-PRE-TCP -i eth0"
VXLAN_IN: Final = "-A CTPOLICY-PRE-UDP -p udp -m udp --dport 4789"
GRE_IN: Final = "-A CTPOLICY-PREROUTING -p 47"
BUSY_OUT: Final = "-A CTPOLICY-OUT-UDP -p udp -m multiport --dports"
TYPES: Final = " -m addrtype --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST"

OF_IPTABLES: Final = (
    Fault("a prefix is gone", "add ctpolicy-b4-nodes 10.1.0.0/16"),
    Fault("a prefix is wider", "add ctpolicy-b4-nodes", "10.1.0.0/16", "10.0.0.0/15"),
    Fault("a prefix is narrower", "add ctpolicy-b4-nodes", "192.168.7.0/24", "192.168.7.0/25"),
    Fault(
        "a prefix comes", "add ctpolicy-b4-nodes", "192.168.7.0/24", "192.168.7.0/24\nadd ctpolicy-b4-nodes 11.0.0.1"
    ),
    Fault("an ipset is of ipv6", "create ctpolicy-b4-nodes", "family inet ", "family inet6 "),
    Fault(
        "an ipset is of ports",
        "create ctpolicy-b4-nodes",
        "hash:net family inet maxelem 65536",
        "bitmap:port range 0-65535",
    ),
    Fault("an ipset has a timeout", "create ctpolicy-b4-nodes", "maxelem", "timeout 600 maxelem"),
    Fault("an ipset has another name", "create ctpolicy-b4-nodes", "ctpolicy-b4-nodes", "ctpolicy-b4-node"),
    Fault("an element is an exception", "add ctpolicy-b4-nodes 10.1", "10.1.0.0/16", "10.1.0.0/16 nomatch"),
    Fault("the set is asked about the other end", METRICS_IN, "ctpolicy-b4-nodes src", "ctpolicy-b4-nodes dst"),
    Fault("the set is negated", METRICS_IN, "--match-set", "! --match-set"),
    Fault("the set is not asked", METRICS_IN, " -m set --match-set ctpolicy-b4-nodes src", ""),
    Fault("another set is asked", METRICS_IN, "ctpolicy-b4-nodes", "ctpolicy-b4-others"),
    Fault("a port is one more", VXLAN_IN, "4789", "4790"),
    Fault("a port is a range", VXLAN_IN, "4789", "4789:4790"),
    Fault("a port wraps", VXLAN_IN, "4789", "70000"),
    Fault("a port is the source's", VXLAN_IN, "--dport", "--sport"),
    Fault("a port is negated", VXLAN_IN, "--dport", "! --dport"),
    Fault("a range ends early", BUSY_OUT, "20999", "20998"),
    Fault("a port is gone", BUSY_OUT, "20002,", ""),
    Fault("a port comes", BUSY_OUT, "20002", "20002,20003"),
    Fault("ports are of both ends", METRICS_IN, "--dports", "--ports"),
    Fault("a protocol is another", "-A CTPOLICY-OUTPUT -p tcp", "-p tcp", "-p sctp"),
    Fault("a protocol is negated", GRE_IN, "-p 47", "! -p 47"),
    Fault("a protocol is not asked", GRE_IN, "-p 47 ", ""),
    Fault("a goto leads elsewhere", "-A CTPOLICY-OUTPUT -p tcp", "OUT-TCP", "OUT-UDP"),
    Fault("a goto leads to what is not there", "-A CTPOLICY-OUTPUT -p tcp", "OUT-TCP", "OUT-ESP"),
    Fault("a goto is not made", "-A CTPOLICY-PREROUTING -p udp"),
    Fault("what a goto leads to is empty", "-A CTPOLICY-OUT-TCP -o bond+"),
    Fault("a chain is not made", ":CTPOLICY-PRE-TCP"),
    Fault("prerouting does not jump", "-I PREROUTING"),
    Fault("output does not jump", "-I OUTPUT"),
    Fault("prerouting jumps to output's chain", "-I PREROUTING", "-j CTPOLICY-PREROUTING", "-j CTPOLICY-OUTPUT"),
    Fault("the jump asks for a protocol", "-I PREROUTING", "1 -m", "1 -p udp -m"),
    Fault("the jump stands in another chain", "-I OUTPUT", "-I OUTPUT", "-I INPUT"),
    Fault("the table is filter", "*raw", "*raw", "*filter"),
    Fault("a part is not committed", "COMMIT"),
    Fault("notrack is gone", VXLAN_IN, " -j CT --notrack", ""),
    Fault("notrack is a zone", VXLAN_IN, "--notrack", "--zone 1"),
    Fault("notrack is accept", VXLAN_IN, "-j CT --notrack", "-j ACCEPT"),
    Fault("notrack is drop", GRE_IN, "-j CT --notrack", "-j DROP"),
    Fault("a track is a notrack", "-A CTPOLICY-OUT-UDP -p udp -m udp --sport 20500", "-j RETURN", "-j CT --notrack"),
    Fault("a track goes on", "-A CTPOLICY-OUTPUT -d 192.168.7.9/32", " -j RETURN", ""),
    Fault("a track drops", "-A CTPOLICY-OUTPUT -d 192.168.7.9/32", "-j RETURN", "-j DROP"),
    Fault("a track is another address's", "-A CTPOLICY-PREROUTING -s 192.168.7.9/32", "7.9", "7.8"),
    Fault("source and destination are swapped", "-A CTPOLICY-OUT-UDP -d 192.168.7.53/32", "-d", "-s"),
    Fault("an address is wider", "-A CTPOLICY-PRE-TCP -s 10.128.0.0/14", "/14", "/13"),
    Fault("an address is negated", "-A CTPOLICY-PRE-TCP -s 10.128.0.0/14", "-s", "! -s"),
    Fault("an address of ipv6 is wider", "-s fd00:7::/64", "/64", "/48"),
    Fault("a rule of ipv6 is not made", "-A CTPOLICY-OUTPUT -d fd00:7::/64 -o eth0"),
    Fault("a kind of destination is gone", GRE_IN, "LOCAL,BROADCAST,", "LOCAL,"),
    Fault("a kind of destination comes", GRE_IN, "LOCAL,", "LOCAL,UNICAST,"),
    Fault("destinations are not asked", GRE_IN, TYPES, ""),
    Fault("destinations are not negated", "memcached", "! --dst-type", "--dst-type"),
    Fault("the kind is the source's", GRE_IN, "--dst-type", "--src-type"),
    Fault("ipv6 asks for what no multicast is", "--dst-type MULTICAST", "MULTICAST", "MULTICAST,LOCAL"),
    Fault("an interface is a wildcard", METRICS_IN, "eth0", "eth0+"),
    Fault("a wildcard is an interface", "-A CTPOLICY-PRE-TCP -i bond+", "bond+", "bond"),
    Fault("an interface is the outgoing one", METRICS_IN, "-i eth0", "-o eth0"),
    Fault(
        "loopback is let by at output",
        "-A CTPOLICY-OUTPUT -d 192.168.7.9/32",
        "-A",
        "-A CTPOLICY-OUTPUT -o lo -j RETURN\n-A",
    ),
    Fault("a rule has another condition", VXLAN_IN, " -j CT", " -m mark --mark 0x1 -j CT"),
    Moved(
        "a track is asked after a bypass",
        "-A CTPOLICY-OUT-UDP -p udp -m multiport --sports",
        "-A CTPOLICY-OUT-UDP -p udp -m udp --sport 20500",
    ),
    Moved("tracks are asked last", "-A CTPOLICY-OUTPUT -p udp", "-A CTPOLICY-OUTPUT -d 192.168.7.9"),
)


def nft_lines(document: dict[str, Any]) -> list[str]:
    return [json.dumps(command["add"]) for command in document["nftables"]]


def nft_document(lines: list[str]) -> dict[str, Any]:
    return {"nftables": [{"add": json.loads(line)} for line in lines]}


def raw_lines(document: dict[str, Any]) -> list[str]:
    return "".join(f"#{step['tool']}\n{step['text']}" for step in document["steps"]).split("\n")


def raw_document(lines: list[str]) -> dict[str, Any]:
    steps: list[dict[str, str]] = []
    for line in lines:
        if line.startswith("#"):
            steps.append({"tool": line[1:], "text": ""})
        elif line:
            steps[-1]["text"] += f"{line}\n"
    return {"steps": steps}


MEANT: Final = bypass_space(POLICY)
TABLE: Final = NFTABLES.compile(POLICY)
TABLES: Final = IPTABLES.compile(POLICY)
DOCUMENT: Final = NFTABLES.document(None, TABLE)
STEPS: Final = IPTABLES.document(None, TABLES)


def test_what_is_not_broken_is_proven() -> None:
    assert proof_of(POLICY, NFTABLES, TABLE).result is Result.HELD
    assert proof_of(POLICY, IPTABLES, TABLES).result is Result.HELD
    assert proof_of(POLICY, IPTABLES_ALONE, IPTABLES_ALONE.compile(POLICY)).result is Result.HELD
    assert nft_document(nft_lines(DOCUMENT)) == DOCUMENT
    assert IPTABLES.first_load(raw_document(raw_lines(STEPS))) == TABLES


def test_enough_is_broken() -> None:
    assert len(OF_NFTABLES) >= 50
    assert len(OF_IPTABLES) >= 50
    assert all(len({fault.name for fault in faults}) == len(faults) for faults in (OF_NFTABLES, OF_IPTABLES))


def broken(check: Check) -> None:
    """A fault of the proof's, with a witness."""
    assert check.result is Result.BROKEN
    assert all(remark.code == "RV005" and remark.level is Level.ERROR for remark in check.remarks)
    assert any(remark.witness for remark in check.remarks), check.remarks


def shown(check: Check, broken_rules: Table | RawTables | None, backend: Any) -> bool:
    """Whether a witness fares otherwise by the broken rules, read a second time, than by the policy."""
    witnesses = [remark.witness for remark in check.remarks if remark.witness]
    return any(
        backend.way(broken_rules, witness).untracked is not decide(POLICY, witness).untracked for witness in witnesses
    )


@pytest.mark.parametrize("fault", OF_NFTABLES, ids=str)
def test_a_broken_table_is_caught(fault: Fault) -> None:
    document = nft_document(fault.of(nft_lines(DOCUMENT)))
    caught(fault, NFTABLES, TABLE, document)


@pytest.mark.parametrize("fault", OF_IPTABLES, ids=str)
def test_broken_raw_tables_are_caught(fault: Fault) -> None:
    document = raw_document(fault.of(raw_lines(STEPS)))
    caught(fault, IPTABLES, TABLES, document)


def caught(fault: Fault, backend: Any, own: Any, document: dict[str, Any]) -> None:
    check = proof_of_rendered(POLICY, backend, own, document, meant=MEANT)
    broken(check)
    try:
        rules = backend.first_load(document)
    except CtpolicyError:
        assert fault.name in UNREADABLE
        return
    assert fault.name not in UNREADABLE
    as_compiled = proof_of(POLICY, backend, rules, meant=MEANT)
    broken(as_compiled)
    assert shown(as_compiled, rules, backend) is (fault.name not in NOT_SHOWN), as_compiled.remarks


UNREADABLE: Final = {
    "priority is a word",
    "there is no priority",
    "the table is of ip alone",
    "an ipset is of ipv6",
    "an ipset is of ports",
    "an ipset has another name",
    "a port wraps",
    "a chain is not made",
    "the table is filter",
    "a part is not committed",
}
"""What no reader takes, nor the kernel: all that the policy bypasses would be tracked, and the witness is of that."""

NOT_SHOWN: Final = {
    "a bypass entry drops",
    "a track entry drops",
    "a track drops",
    "the policy is drop",
    "priority is before defragmentation",
    "the type is nat",
    "the type is route",
    "a kind of destination is gone",
    "an ipset has a timeout",
    "an element is an exception",
}
"""What cannot be seen in one packet's being tracked or not: it is dropped, or is one by what kind of address the host
takes its destination for, or a fragment; or the kernel refuses the chain."""
