"""Which rule has conntrack look at packets, from listings alone: by place, owner and text."""

from __future__ import annotations

import json

import pytest

from ctpolicy.doctor.activity import rule_texts, shown_tables, users_of_iptables, users_of_nftables
from ctpolicy.doctor.facts import Presence
from ctpolicy.doctor.use import conntrack_users
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from doctor.fake_machine import FakeMachine, facts_of
from doctor.test_findings import told

CT_STATE = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}


def listing(*items: dict[str, object]) -> str:
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *items]})


def rule(*expressions: object, family: str = "inet", table: str = "fw", chain: str = "input") -> dict[str, object]:
    return {"rule": {"family": family, "table": table, "chain": chain, "handle": 7, "expr": list(expressions)}}


def users(*items: dict[str, object]) -> list[str]:
    return [str(user) for user in users_of_nftables(listing(*items), {("inet", "fw", 7): "ct state new"}, frozenset())]


def test_a_rule_is_told_by_its_place_and_as_nft_writes_it() -> None:
    assert users(rule(CT_STATE)) == ["table inet fw, chain input: ct state new  (asks conntrack)"]


def test_a_rule_without_nft_to_ask_is_told_as_json() -> None:
    (user,) = users_of_nftables(listing(rule(CT_STATE)), {}, frozenset())
    assert json.loads(user.text) == [CT_STATE]


def test_whose_rule_it_is_is_said() -> None:
    assert "(kube-proxy)" in users(rule({"masquerade": None}, family="ip", table="kube-proxy"))[0]


@pytest.mark.parametrize(
    "expression",
    [
        {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": []}}},
        {"mangle": {"key": {"ct": {"key": "mark"}}, "value": 1}},
        {"set": {"op": "add", "elem": {"x": 1}, "set": "@s", "stmt": [{"ct count": {"val": 20}}]}},
        {"dnat": {"addr": "192.0.2.1"}},
        {"synproxy": {"mss": 1460}},
        {"flow": {"op": "add", "flowtable": "@f"}},
        {"ct helper": "ftp"},
    ],
)
def test_what_needs_conntrack_is_found_at_any_depth(expression: dict[str, object]) -> None:
    assert len(users(rule(expression))) == 1


@pytest.mark.parametrize("expression", [{"notrack": None}, {"accept": None}, {"counter": {"packets": 1, "bytes": 2}}])
def test_what_does_not_need_it_is_not_told(expression: dict[str, object]) -> None:
    assert users(rule(expression)) == []


def test_objects_do_without_a_rule_that_uses_them() -> None:
    assert users({"ct helper": {"family": "inet", "table": "fw", "name": "ftp"}}) == [
        "table inet fw: ct helper ftp  (the object alone does)"
    ]


def test_a_chain_of_nat_without_rules_does_not() -> None:
    assert users({"chain": {"family": "ip", "table": "nat", "name": "PREROUTING", "type": "nat"}}) == []


def test_of_what_iptables_keeps_in_nftables_only_names_are_told() -> None:
    (known,) = users_of_nftables(listing(rule({"xt": {"type": "match", "name": "conntrack"}})), {}, frozenset())
    (possible,) = users_of_nftables(listing(rule({"xt": {"type": "target", "name": "CT"}})), {}, frozenset())
    assert known.is_certain and not possible.is_certain
    assert str(possible).endswith("possibly)")


def test_tables_that_iptables_nft_shows_are_not_told_twice() -> None:
    xt = rule({"xt": {"type": "match", "name": "conntrack"}}, family="ip", table="filter", chain="INPUT")
    saved = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"
    assert set(shown_tables(saved, Family.IPV4)) == {("ip", "filter")}
    machine = FakeMachine(ruleset=listing(xt))
    facts = facts_of(machine, saves={(Variant.NFT, Family.IPV4): saved})
    assert [user.place for user in conntrack_users(facts)] == ["iptables-nft, ipv4, table filter"]


def test_a_table_that_iptables_nft_cannot_show_is_told_from_nft() -> None:
    saved = "# Table `filter' is incompatible, use 'nft' tool.\n*nat\nCOMMIT\n"
    assert set(shown_tables(saved, Family.IPV4)) == {("ip", "nat")}


@pytest.mark.parametrize(
    ("line", "is_user"),
    [
        ("-A INPUT -m conntrack --ctstate NEW -j ACCEPT", True),
        ("-A INPUT -p tcp -m tcp --dport 22 -m state --state NEW -j ACCEPT", True),
        ("-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE", True),
        ("-A PREROUTING -p tcp -j CT --helper ftp", True),
        ("-A PREROUTING -j CT --notrack", False),
        ("-A PREROUTING -j NOTRACK", False),
        ("-A PREROUTING -p udp -m udp --dport 53 -j ACCEPT", False),
        ('-A INPUT -m comment --comment "-m conntrack" -j ACCEPT', False),
        ('-A INPUT -m comment --comment "an unclosed \' quote" -m state --state NEW', True),
        ("-A INPUT -m comment --comment it's -m state --state NEW", True),
    ],
)
def test_rules_of_iptables_are_told_by_their_words(line: str, is_user: bool) -> None:
    found = list(users_of_iptables(f"*filter\n{line}\nCOMMIT\n", Variant.LEGACY, Family.IPV4))
    assert bool(found) is is_user
    assert all(user.text == line for user in found)


def test_texts_are_found_by_handle() -> None:
    shown = "table inet fw { # handle 3\n\tchain input { # handle 1\n\t\tct state new counter # handle 7\n\t}\n}\n"
    assert rule_texts(shown) == {("inet", "fw", 7): "ct state new counter"}


@pytest.mark.parametrize(("module", "word"), [("openvswitch", "Open vSwitch"), ("act_ct", "traffic control")])
def test_parts_of_the_kernel_that_may_track_by_themselves_are_named(module: str, word: str) -> None:
    facts = facts_of(FakeMachine(modules={module: Presence.LOADED}))
    assert word in told(facts, "conntrack-active").details[0]


def test_virtual_services_are_named() -> None:
    services = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n" + (
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0A80001:0050 rr\n"
    )
    facts = facts_of(FakeMachine(files={"/proc/thread-self/net/ip_vs": services}))
    assert "IPVS" in told(facts, "conntrack-active").details[0]
    none = facts_of(FakeMachine(files={"/proc/thread-self/net/ip_vs": services.rpartition("TCP")[0]}))
    assert not any("IPVS" in line for line in told(none, "conntrack-active").details)
