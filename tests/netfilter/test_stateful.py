"""What others' rules take from conntrack, told of rules as both backends list them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.advice_rules import rules_of
from ctpolicy.errors import HostError
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.language.policy import Entry
from ctpolicy.netfilter.stateful import Dependence, Kind, StatefulTable, TooManyRulesError
from ctpolicy.nftables.read import read_document
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.firewalls import firewalls
from ctpolicy.plan.live import Live
from policies import policy

ADDRESSES: Final = HostAddresses.of(["192.0.2.1", "172.17.0.1"])
ENTRIES: Final = {
    "web": "host-service: tcp/80",
    "dns": "host-service: udp/53",
    "resolver": "host-client: udp/53",
    "vxlan": "overlay: vxlan",
    "passed-on": "forward: tcp/80",
    "geneve": "overlay: geneve",
    "ftp": "host-service: tcp/21",
    "https": "host-service: tcp/443",
}

Json = dict[str, Any]

ESTABLISHED: Final = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
ESTABLISHED_SET: Final = {
    "match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"set": ["established", "related"]}}
}
UNTRACKED_TOO: Final = {
    "match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"set": ["established", "untracked"]}}
}
NOT_INVALID: Final = {"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": "invalid"}}
BY_STATE: Final = {
    "vmap": {
        "key": {"ct": {"key": "state"}},
        "data": {"set": [["invalid", {"drop": None}], ["established", {"accept": None}]]},
    }
}
ACCEPT: Final = {"accept": None}
DROP: Final = {"drop": None}
REJECT: Final = {"reject": {"type": "icmpx", "expr": "port-unreachable"}}


def port(number: int, protocol: str = "tcp", field: str = "dport") -> Json:
    left = {"payload": {"protocol": protocol, "field": field}}
    return {"match": {"op": "==", "left": left, "right": number}}


def interface(name: str, key: str = "iifname") -> Json:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": name}}


def source(prefix: str, length: int) -> Json:
    left = {"payload": {"protocol": "ip", "field": "saddr"}}
    return {"match": {"op": "==", "left": left, "right": {"prefix": {"addr": prefix, "len": length}}}}


def nft(
    *rules: list[Json], hook: str = "input", drops: bool = False, kind: str = "filter", **chains: list[list[Json]]
) -> Live:
    """A host with one table, of a base chain and of chains that it may jump to."""
    base = {"family": "inet", "table": "fw", "name": "base", "type": kind, "hook": hook, "prio": 0}
    objects: list[Json] = [{"table": {"family": "inet", "name": "fw"}}]
    objects.append({"chain": base | {"policy": "drop" if drops else "accept"}})
    objects += [{"chain": {"family": "inet", "table": "fw", "name": name}} for name in chains]
    for name, held in {"base": rules, **chains}.items():
        objects += [{"rule": {"family": "inet", "table": "fw", "chain": name, "expr": expr}} for expr in held]
    return Live(read_document({"nftables": objects}))


def found(tables: tuple[StatefulTable, ...], name: str) -> list[Dependence]:
    (entry,) = policy(f"bypass:\n  - name: one\n    {ENTRIES[name]}\n").bypass
    known: Entry = entry
    return list(rules_of(tables, ADDRESSES)(known))


def kinds(tables: tuple[StatefulTable, ...], name: str) -> set[Kind]:
    return {one.kind for one in found(tables, name)}


NEEDS, LOST = {Kind.NEEDS_ACCEPT}, {Kind.LOST}

FILTERS: Final[dict[str, tuple[Live, dict[str, set[Kind]]]]] = {
    "nothing that asks for states": (nft([port(80), ACCEPT], drops=True), {"web": set(), "dns": set()}),
    "established, then the policy": (nft([ESTABLISHED, ACCEPT], drops=True), {"web": NEEDS, "resolver": NEEDS}),
    "established in a set of the rule": (nft([ESTABLISHED_SET, ACCEPT], drops=True), {"web": NEEDS}),
    "untracked is accepted too": (nft([UNTRACKED_TOO, ACCEPT], drops=True), {"web": set()}),
    "all but invalid, and untracked is not": (nft([NOT_INVALID, ACCEPT], drops=True), {"web": set()}),
    "a map of states": (nft([BY_STATE], drops=True), {"web": NEEDS}),
    "an accept by port comes first": (
        nft([ESTABLISHED, ACCEPT], [port(80), ACCEPT], drops=True),
        {"web": set(), "dns": NEEDS, "resolver": NEEDS},
    ),
    "an accept of the answers": (
        nft([ESTABLISHED, ACCEPT], [port(53, "udp", "sport"), ACCEPT], drops=True),
        {"resolver": set(), "dns": NEEDS},
    ),
    "an accept of some sources is not enough": (
        nft([ESTABLISHED, ACCEPT], [source("10.0.0.0", 8), port(80), ACCEPT], drops=True),
        {"web": NEEDS},
    ),
    "a reject of everything": (nft([ESTABLISHED, ACCEPT], [REJECT]), {"web": NEEDS, "vxlan": NEEDS}),
    "a drop that was there before": (nft([source("10.0.0.0", 8), DROP], [ESTABLISHED, ACCEPT]), {"web": set()}),
    "on lo alone": (nft([interface("lo"), ESTABLISHED, ACCEPT], drops=True), {"web": set()}),
    "in a chain that is jumped to": (
        nft([{"jump": {"target": "states"}}], drops=True, states=[[ESTABLISHED, ACCEPT]]),
        {"web": NEEDS},
    ),
    "accepted in a chain that is jumped to": (
        nft([ESTABLISHED, ACCEPT], [{"jump": {"target": "ours"}}], drops=True, ours=[[port(80), ACCEPT]]),
        {"web": set(), "dns": NEEDS},
    ),
    "of what is passed on": (
        nft([ESTABLISHED, ACCEPT], hook="forward", drops=True),
        {"passed-on": NEEDS, "web": set(), "vxlan": set()},
    ),
    "at output": (nft([ESTABLISHED, ACCEPT], hook="output", drops=True), {"web": NEEDS, "vxlan": NEEDS}),
    "a helper": (nft([port(80), {"ct helper": "ftp"}], hook="prerouting"), {"web": LOST, "dns": set()}),
    "a limit of connections": (nft([port(80), {"ct count": {"val": 20, "inv": True}}, DROP]), {"web": LOST}),
    "a mark that is asked for": (
        nft([{"match": {"op": "==", "left": {"ct": {"key": "mark"}}, "right": 1}}, ACCEPT]),
        {"web": LOST, "vxlan": LOST, "passed-on": set()},
    ),
    "a mark that is set": (
        nft([port(80), {"mangle": {"key": {"ct": {"key": "mark"}}, "value": 1}}]),
        {"web": LOST, "dns": set()},
    ),
    "a zone": (
        nft([port(80), {"mangle": {"key": {"ct": {"key": "zone"}}, "value": 7}}], hook="prerouting"),
        {"web": LOST, "dns": set()},
    ),
    "a packet's mark is another matter": (
        nft([{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 1}}]),
        {"web": set()},
    ),
    "a proxy for servers": (nft([{"synproxy": {"mss": 1460, "wscale": 7}}]), {"web": LOST}),
    "a flow table": (nft([{"flow": {"op": "add", "flowtable": "@f"}}], hook="forward"), {"passed-on": LOST}),
}


@pytest.mark.parametrize("case", FILTERS)
def test_filters(case: str) -> None:
    live, expected = FILTERS[case]
    tables = firewalls(live, ())
    assert {name: kinds(tables, name) for name in expected} == expected


def test_the_rule_and_its_place_are_told() -> None:
    (one,) = found(firewalls(nft([ESTABLISHED, ACCEPT], drops=True), ()), "web")
    assert one.rule == "ct state established,related accept"
    assert one.place == "table inet fw, chain base"
    assert "policy drop" in one.why


NAT: Final[dict[str, tuple[Live, dict[str, set[Kind]]]]] = {
    "a published port": (
        nft([port(80), {"dnat": {"family": "ip", "addr": "10.0.0.9", "port": 8080}}], hook="prerouting", kind="nat"),
        {"web": LOST, "passed-on": LOST, "dns": set(), "vxlan": set()},
    ),
    "the port that it leads to": (
        nft([port(8080), {"dnat": {"family": "ip", "addr": "10.0.0.9", "port": 80}}], hook="prerouting", kind="nat"),
        {"passed-on": LOST, "dns": set(), "vxlan": set()},
    ),
    "a redirection to a port of this host's": (
        nft([port(8080), {"redirect": {"port": 80}}], hook="prerouting", kind="nat"),
        {"web": LOST, "passed-on": set()},
    ),
    "what is masqueraded is answered to this host": (
        nft([source("172.17.0.0", 16), {"masquerade": None}], hook="postrouting", kind="nat"),
        {"resolver": LOST, "passed-on": LOST, "web": set(), "vxlan": set(), "dns": set()},
    ),
    "masquerading at every device": (
        nft([interface("eth0", "oifname"), {"masquerade": None}], hook="postrouting", kind="nat"),
        {"resolver": LOST, "vxlan": set()},
    ),
    "another address of this host's own flows": (
        nft([{"snat": {"family": "ip", "addr": "192.0.2.9"}}], hook="postrouting", kind="nat"),
        {"vxlan": LOST, "resolver": LOST},
    ),
}


@pytest.mark.parametrize("case", NAT)
def test_translations(case: str) -> None:
    live, expected = NAT[case]
    tables = firewalls(live, ())
    assert {name: kinds(tables, name) for name in expected} == expected


IPTABLES: Final = """# Generated by iptables-save v1.8.9 on Sun Nov 22 22:40:34 2026
*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:OURS - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j OURS
-A OURS -p tcp -m multiport --dports 80,443 -j ACCEPT
-A OURS -p udp -m conntrack --ctstate NEW,UNTRACKED -m udp --dport 4789 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 6081 -j CT --zone 5
-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 443 -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
COMMIT
"""


def test_iptables_is_read_with_all_its_tables() -> None:
    tables = firewalls(Live(), [(Variant.LEGACY, Family.IPV4, IPTABLES)])
    assert kinds(tables, "dns") == NEEDS
    assert kinds(tables, "vxlan") == set()
    assert kinds(tables, "resolver") == {Kind.LOST, Kind.NEEDS_ACCEPT}
    assert kinds(tables, "passed-on") == LOST  # answers of the published port come from 80
    assert "zone" in found(tables, "geneve")[0].why
    assert "helper" in found(tables, "ftp")[0].why
    assert "mark" in found(tables, "https")[0].why
    places = {one.place for one in found(tables, "resolver")}
    assert places == {
        "iptables-legacy table nat, chain POSTROUTING",
        "iptables-legacy table filter, chain INPUT",
    }


def test_iptables_shows_its_tables_better_than_nft_does() -> None:
    xt = {"nftables": [
        {"table": {"family": "ip", "name": "nat"}},
        {"chain": {"family": "ip", "table": "nat", "name": "PREROUTING", "type": "nat", "hook": "prerouting",
                   "prio": -100, "policy": "accept"}},
        {"rule": {"family": "ip", "table": "nat", "chain": "PREROUTING",
                  "expr": [{"xt": {"type": "target", "name": "DNAT"}}]}},
    ]}  # fmt: skip
    live = Live(read_document(xt))
    assert kinds(firewalls(live, ()), "passed-on") == LOST
    assert kinds(firewalls(live, ()), "web") == LOST
    rule = "-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.9:81"
    listing = f"*nat\n:PREROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n"
    told = firewalls(live, [(Variant.NFT, Family.IPV4, listing)])
    assert (kinds(told, "passed-on"), kinds(told, "web")) == (set(), set())


def test_a_table_that_iptables_cannot_print_is_an_error() -> None:
    with pytest.raises(HostError, match="cannot print the nat table"):
        firewalls(Live(), [(Variant.NFT, Family.IPV4, "# Table `nat' is incompatible, use 'nft' tool.\n")])


def test_our_own_table_and_one_that_sleeps_do_nothing() -> None:
    def of(family: str, name: str, flags: Json) -> Live:
        chain = {"family": family, "table": name, "name": "c", "type": "filter", "hook": "input", "prio": 0}
        rules = [{"rule": {"family": family, "table": name, "chain": "c", "expr": [ESTABLISHED, ACCEPT]}}]
        table = {"table": {"family": family, "name": name} | flags}
        return Live(read_document({"nftables": [table, {"chain": chain | {"policy": "drop"}}, *rules]}))

    assert kinds(firewalls(of("inet", "fw", {}), ()), "web") == NEEDS
    assert kinds(firewalls(of("inet", "ctpolicy", {}), ()), "web") == set()
    assert kinds(firewalls(of("inet", "fw", {"flags": "dormant"}), ()), "web") == set()
    assert kinds(firewalls(of("ip6", "fw", {}), ()), "web") == NEEDS


def test_rules_without_end_are_not_followed() -> None:
    loop = nft([{"jump": {"target": "a"}}], a=[[{"jump": {"target": "a"}}]])
    with pytest.raises(TooManyRulesError):
        found(firewalls(loop, ()), "web")
