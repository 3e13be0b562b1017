"""Questions that only foreign rules ask, from the listing to the space."""

from __future__ import annotations

from typing import Any

import pytest

from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.read import read_document
from ctpolicy.nftables.space import ruleset_space
from ctpolicy.packetspace.packet import parse_packet

IN = {"family": "inet", "table": "t"}
NOTRACK: dict[str, Any] = {"notrack": None}
HERE = parse_packet("in udp 192.0.2.1:1 -> 192.0.2.2:53 dev eth0")
THERE = parse_packet("forward udp 192.0.2.1:1 -> 192.0.2.2:53 dev eth0")
SENT = parse_packet("out udp 192.0.2.1:1 -> 192.0.2.2:53 dev eth0")
TCP = parse_packet("in tcp 192.0.2.1:1 -> 192.0.2.2:53 dev eth0")
V6 = parse_packet("in udp [fd00::1]:1 -> [fd00::2]:53 dev eth0")
V6_TCP = parse_packet("in tcp [fd00::1]:1 -> [fd00::2]:53 dev eth0")


def space(*rules: list[dict[str, Any]], objects: tuple[dict[str, Any], ...] = (), flags: str = "") -> Untracked:
    """What rules in both base chains mean."""
    listed: list[dict[str, Any]] = [{"table": {"family": "inet", "name": "t"} | ({"flags": flags} if flags else {})}]
    for hook in ("prerouting", "output"):
        listed.append({"chain": IN | {"name": hook, "type": "filter", "hook": hook, "prio": -300}})
        listed += [{"rule": IN | {"chain": hook, "expr": rule}} for rule in rules]
    return ruleset_space(read_document({"nftables": [*listed, *objects]}))


def match(left: dict[str, Any], right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


DPORT = payload("udp", "dport")
SADDR = payload("ip", "saddr")


def test_ports_in_the_rule_and_on_one_side_of_a_bound() -> None:
    for right, op in (({"set": [{"range": [50, 53]}, 99]}, "=="), (52, ">"), (53, ">="), (54, "<"), (53, "<=")):
        found = space([match(DPORT, right, op), NOTRACK])
        assert HERE in found.certainly
        assert TCP not in found.possibly
    assert not space([match(DPORT, 65535, ">"), NOTRACK]).certainly


def test_the_first_header_of_ipv6_may_be_another() -> None:
    found = space([match(payload("ip6", "nexthdr"), "udp"), NOTRACK])
    assert V6 in found.possibly
    assert not found.certainly
    assert V6_TCP not in found.possibly
    assert HERE not in found.possibly


def test_a_local_destination_is_a_part_of_path_in() -> None:
    found = space([match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"), NOTRACK])
    assert HERE in found.possibly
    assert HERE not in found.certainly
    assert THERE not in found.possibly
    assert SENT in found.possibly


def test_no_route_may_lead_to_a_destination_on_path_forward() -> None:
    found = space([match({"fib": {"result": "type", "flags": ["daddr"]}}, "unicast"), NOTRACK])
    assert THERE in found.possibly
    assert THERE not in found.certainly
    assert HERE not in found.possibly


def test_an_interface_by_its_index_is_an_interface_by_its_name() -> None:
    found = space([match({"meta": {"key": "iif"}}, "eth0"), NOTRACK])
    assert HERE in found.certainly
    assert SENT not in found.possibly


ONE = {"concat": ["192.0.2.1", 53]}
SOME = {"concat": [{"prefix": {"addr": "192.0.2.0", "len": 24}}, {"range": [1, 60]}]}


@pytest.mark.parametrize("elements", [[ONE], [SOME]])
def test_concatenated_fields(elements: list[Any]) -> None:
    key = {"concat": [SADDR, DPORT]}
    inside = space([match(key, {"set": elements}), NOTRACK])
    assert HERE in inside.certainly
    outside = space([match(key, {"set": elements}, "!="), NOTRACK])
    assert HERE not in outside.possibly
    assert TCP not in outside.possibly
    named = {"set": IN | {"name": "s", "type": ["ipv4_addr", "inet_service"], "elem": elements}}
    assert space([match(key, "@s"), NOTRACK], objects=(named,)) == inside


def test_an_inner_header_is_not_the_outer_one() -> None:
    inner = {"payload": {"protocol": "ip", "field": "saddr", "tunnel": "vxlan"}}
    assert not space([match(inner, "192.0.2.1"), NOTRACK]).certainly


def test_a_zone_takes_back_an_earlier_notrack_and_prevents_a_later_one() -> None:
    zone = {"mangle": {"key": {"ct": {"key": "zone"}}, "value": 1}}
    assert not space([NOTRACK], [zone]).possibly
    assert not space([zone], [NOTRACK]).possibly


def test_a_catch_all_beside_others_is_no_certainty_about_them() -> None:
    pairs = [["eth0", {"continue": None}], ["*", {"drop": None}]]
    found = space([{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": pairs}}}], [NOTRACK])
    assert HERE in found.possibly
    assert HERE not in found.certainly
    assert parse_packet("in udp 192.0.2.1:1 -> 192.0.2.2:53 dev eth1") not in found.possibly


def test_a_set_that_rules_fill_is_no_answer() -> None:
    seen = {"set": IN | {"name": "seen", "type": "ipv4_addr", "size": 9}}
    fill = [match(DPORT, 7), {"set": {"op": "add", "elem": SADDR, "set": "@seen"}}]
    found = space(fill, [match(SADDR, "@seen"), NOTRACK], objects=(seen,))
    assert HERE in found.possibly
    assert HERE not in found.certainly


def test_an_element_that_expires_is_no_answer_and_one_with_a_comment_is() -> None:
    for extra, certain in (({"comment": "x"}, True), ({"timeout": 60, "expires": 9}, False)):
        held = {"set": IN | {"name": "s", "type": "ipv4_addr", "elem": [{"elem": {"val": "192.0.2.1"} | extra}]}}
        found = space([match(SADDR, "@s"), NOTRACK], objects=(held,))
        assert HERE in found.possibly
        assert (HERE in found.certainly) is certain


def test_a_table_with_flags_may_be_dormant() -> None:
    found = space([NOTRACK], flags="t")
    assert HERE in found.possibly
    assert not found.certainly


def test_a_rejected_packet_is_not_untracked() -> None:
    assert not space([NOTRACK, {"reject": {"type": "icmpx", "expr": "port-unreachable"}}]).possibly


def test_a_question_about_another_protocol_does_not_apply() -> None:
    found = space([match(payload("icmp", "type"), "echo-request"), NOTRACK])
    assert HERE not in found.possibly
    assert parse_packet("in icmp 192.0.2.1 -> 192.0.2.2") in found.possibly
    assert not found.certainly


@pytest.mark.parametrize("body", [None, {"type": "target", "name": "CT"}, {"type": "match", "name": "multiport"}])
def test_what_iptables_nft_hides_leaves_both_possible(body: dict[str, str] | None) -> None:
    found = space([match({"meta": {"key": "l4proto"}}, "udp"), {"xt": body}, NOTRACK])
    assert HERE in found.possibly
    assert not found.certainly
    assert TCP not in found.possibly
