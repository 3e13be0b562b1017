"""What bypasses would break on hosts that a person wrote."""

from __future__ import annotations

from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.hazards.roles import Roles
from ctpolicy.hazards.rules import HostRules
from ctpolicy.language.load import load_text
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.packet import parse_packet
from hazards.listings import ACCEPT, DROP, Rule, chain, host, match, meta, payload, state, table

CLIENT = "host-client: udp/53"
SERVICE = "host-service: udp/53"


def hazards(read: HostRules, *entries: str) -> list[Hazard]:
    lines = [f"  - name: entry-{number}\n    {entry}" for number, entry in enumerate(entries)]
    policy = load_text("apiVersion: ctpolicy/v1\nname: test\nbypass:\n" + "\n".join(lines) + "\n")
    untracked = bypass_space(policy)
    return hazards_between(read, untracked, untracked)


def told(found: list[Hazard]) -> set[tuple[str, bool, str]]:
    return {(one.code, one.is_certain, one.rule.text if one.rule else one.note) for one in found}


def firewall(*rules: Rule) -> HostRules:
    """A host whose input drops what no rule accepts, but for what it says to itself."""
    to_itself = [match(meta("iifname"), "lo"), ACCEPT]
    return host(table("firewall", {"input": chain(*rules, to_itself, hook="input", policy="drop")}))


def test_no_rules_no_hazards() -> None:
    assert hazards(host(), CLIENT, SERVICE, "overlay: vxlan") == []


def test_host_that_asks_nothing_of_conntrack_has_no_hazards() -> None:
    read = firewall([match(payload("udp sport"), 53), ACCEPT], [match(payload("udp dport"), 53), ACCEPT])
    assert [one for one in hazards(read, CLIENT) if one.is_certain] == []


def test_answers_to_a_client_are_lost() -> None:
    found = hazards(firewall([state("established", "related"), ACCEPT]), CLIENT)
    (lost,) = [one for one in found if one.code == "HZ002" and one.is_certain]
    assert lost.traffic is Traffic.REPLIES
    assert lost.rule is not None
    assert str(lost.rule) == "`policy drop` in table inet firewall, chain input"
    assert lost.before is not None
    assert lost.before.text == "ct state established,related accept"
    assert lost.witness is not None
    assert lost.witness.source_port == 53
    assert lost.packets()[0].startswith("in udp")


def test_icmp_errors_are_lost() -> None:
    accepted = [match(payload("udp sport"), 53), ACCEPT]
    found = hazards(firewall([state("established", "related"), ACCEPT], accepted), CLIENT)
    assert told(found) == {("HZ003", True, "policy drop"), ("HZ020", True, "policy drop")}


def test_icmp_errors_that_are_accepted_by_type_are_not_lost() -> None:
    types = [match(payload("icmp type"), "destination-unreachable"), ACCEPT]
    types6 = [match(payload("icmpv6 type"), "packet-too-big"), ACCEPT]
    rules = [[state("established", "related"), ACCEPT], types, types6, [match(payload("udp sport"), 53), ACCEPT]]
    found = hazards(firewall(*rules), CLIENT)
    assert told(found) == {("HZ020", True, "policy drop")}, "what is unreachable is told by another type in IPv6"


def test_what_is_dropped_for_being_new_is_let_through() -> None:
    rules = chain([state("new"), match(payload("udp dport"), 53), DROP], hook="input", policy="accept")
    found = hazards(host(table("firewall", {"input": rules})), SERVICE)
    assert ("HZ018", True, "ct state new udp dport 53 drop") in told(found)


def test_what_users_say_is_a_request_is_not_taken_for_an_answer() -> None:
    rules = firewall([state("established", "related"), ACCEPT])
    policy = load_text("apiVersion: ctpolicy/v1\nname: test\nbypass:\n  - {name: exporter, host-service: tcp/9100}\n")
    space = bypass_space(policy)
    lost = [one for one in hazards_between(rules, space, space, Roles.of(policy)) if one.code == "HZ002"]
    assert not any(parse_packet("in tcp 192.0.2.1:40000 -> 192.0.2.2:9100") in one.space for one in lost)
    lost = [one for one in hazards_between(rules, space, space) if one.code == "HZ002"]
    assert any(parse_packet("in tcp 192.0.2.1:40000 -> 192.0.2.2:9100") in one.space for one in lost)


def test_first_packets_that_are_accepted_as_new_are_lost() -> None:
    new = [state("new"), match(payload("udp dport"), 53), ACCEPT]
    found = hazards(firewall([state("established", "related"), ACCEPT], new), SERVICE)
    assert ("HZ001", True, "policy drop") in told(found)
    (lost,) = [one for one in found if one.code == "HZ001"]
    assert lost.before is not None
    assert lost.before.text == "ct state new udp dport 53 accept"


def test_accept_for_untracked_packets_takes_the_hazard_away() -> None:
    new = [state("new"), match(payload("udp dport"), 53), ACCEPT]
    narrow = [state("untracked"), match(payload("udp dport"), 53), ACCEPT]
    errors = [match(meta("l4proto"), {"set": [1, 58]}), ACCEPT]
    read = firewall([state("established", "related"), ACCEPT], new, narrow, errors)
    assert [one for one in hazards(read, SERVICE) if one.is_certain] == []


def test_same_drop_before_and_after_is_no_hazard() -> None:
    """A rule about a mark that nobody knows decides alike, whatever conntrack does."""
    rules = chain([match(meta("mark"), 1), DROP], hook="input")
    assert hazards(host(table("firewall", {"input": rules})), CLIENT, SERVICE) == []


def test_unknown_outgoing_interface_decides_alike() -> None:
    rules = chain([match(meta("oifname"), "eth1"), ACCEPT], hook="forward", policy="drop")
    assert hazards(host(table("firewall", {"forward": rules})), "forward: udp/53") == []


def test_mark_from_a_connection_does_not_decide_alike() -> None:
    restored = [{"mangle": {"key": meta("mark"), "value": {"ct": {"key": "mark"}}}}]
    marked = chain(restored, [match(meta("mark"), 1), ACCEPT], hook="input", policy="drop")
    found = told(hazards(host(table("firewall", {"input": marked})), SERVICE))
    assert ("HZ001", False, "policy drop") in found
    assert ("HZ009", True, "meta mark set ct mark") in found


def test_limit_does_not_decide_alike() -> None:
    """Established packets passed it by; now all of them come to it."""
    limited = [{"limit": {"rate": 10, "per": "second"}}, ACCEPT]
    read = firewall([state("established", "related"), ACCEPT], limited)
    assert ("HZ001", False, "policy drop") in told(hazards(read, SERVICE))


def test_limit_that_was_met_before_may_decide_otherwise() -> None:
    """Whom a limit still lets through depends on who else comes to it: that is not the same before and after."""
    limited = [{"limit": {"rate": 10, "per": "second"}}, match(payload("udp dport"), 53), ACCEPT]
    found = told([one for one in hazards(firewall(limited), SERVICE) if one.code == "HZ001"])
    assert found == {("HZ001", False, "policy drop")}


def test_translations_are_lost() -> None:
    redirect = [match(payload("udp dport"), 53), {"redirect": {"port": 5353}}]
    masquerade = [match(meta("oifname"), "eth0"), {"masquerade": None}]
    nat = {
        "pre": chain(redirect, hook="prerouting", priority=-100, kind="nat"),
        "post": chain(masquerade, hook="postrouting", priority=100, kind="nat"),
    }
    found = told(hazards(host(table("nat", nat)), SERVICE, "forward: udp/123"))
    assert ("HZ004", True, "udp dport 53 redirect to :5353") in found
    assert ("HZ005", False, "oifname eth0 masquerade") in found or (
        "HZ005",
        False,
        'oifname "eth0" masquerade',
    ) in found


def test_answers_to_masqueraded_flows_are_told() -> None:
    nat = {"post": chain([{"masquerade": None}], hook="postrouting", priority=100, kind="nat")}
    found = [one for one in hazards(host(table("nat", nat)), CLIENT) if one.code == "HZ006"]
    assert len(found) == 1
    assert parse_packet("in udp 192.0.2.1:53 -> 192.0.2.2:40000") in found[0].space


def test_rules_that_are_not_followed_are_told() -> None:
    read = host(table("b", {"c": chain([DROP], hook="forward")}, "bridge"))
    assert told(hazards(read, CLIENT)) == {("HZ015", False, "in table bridge b, chain c (hook forward)")}


def test_certain_hazards_come_first() -> None:
    found = hazards(
        firewall([state("established", "related"), ACCEPT], [{"limit": {"rate": 1, "per": "day"}}, ACCEPT]), CLIENT
    )
    assert [one.is_certain for one in found] == sorted((one.is_certain for one in found), reverse=True)


def test_nobody_waits_for_answers_to_tunnels_whose_source_port_is_chance() -> None:
    rules = firewall([state("established", "related"), ACCEPT])
    policy = load_text("apiVersion: ctpolicy/v1\nname: test\nbypass:\n  - {name: vxlan, overlay: vxlan}\n")
    space = bypass_space(policy)
    assert [one for one in hazards_between(rules, space, space, Roles.of(policy)) if one.code == "HZ002"] == []
    wireguard = load_text("apiVersion: ctpolicy/v1\nname: test\nbypass:\n  - {name: wg, overlay: wireguard}\n")
    space = bypass_space(wireguard)
    lost = [one for one in hazards_between(rules, space, space, Roles.of(wireguard)) if one.code == "HZ002"]
    assert any(parse_packet("in udp 192.0.2.1:51820 -> 192.0.2.2:51820") in one.space for one in lost)
