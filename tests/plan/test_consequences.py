"""What plans say would break: hazards of the host's rules, as far as nobody has acknowledged them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.hazards.hazard import Traffic
from ctpolicy.hazards.rules import HostRules
from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.netfilter.shadow import Shadow
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.plan import consequences as stage
from ctpolicy.plan.as_json import plan_json
from ctpolicy.plan.consequences import FailOn
from ctpolicy.plan.plan import Plan, plan_policy, plan_removal, with_consequences
from ctpolicy.plan.remedying import remedies_file, remedies_for, remedy_lines
from ctpolicy.plan.report import plan_lines
from ctpolicy.plan.surroundings import Surroundings
from hazards.listings import ACCEPT, DROP, chain, host, jump, match, meta, payload, state, table
from policies import policy

SCHEMA = Path(__file__).parents[2] / "schemas" / "plan-v1.schema.json"

DNS = "bypass: [{name: dns, host-client: udp/53, peers: [192.168.7.53]}]"
ACKNOWLEDGED = DNS.replace("udp/53", 'udp/53, acknowledge: "HZ002, HZ003: the firewall accepts it since Monday"')
TO_ITSELF = [match(meta("iifname"), "lo"), ACCEPT]
STATEFUL = host(
    table("f", {"input": chain([state("established", "related"), ACCEPT], TO_ITSELF, hook="input", policy="drop")})
)
NOTHING = host()


def plan(entries: str, rules: HostRules = STATEFUL, live: str = "", **around: Any) -> Plan[Table]:
    desired = policy(entries)
    before = NFTABLES.compile(policy(live)) if live else None
    found = plan_policy(NFTABLES, desired, before)
    return with_consequences(found, lambda: Surroundings(rules, **around), Foreign.none, desired)


def removal(live: str, rules: HostRules, is_loose: bool | None = True) -> Plan[Table]:
    found = plan_removal(NFTABLES, NFTABLES.compile(policy(live)))
    return with_consequences(found, lambda: Surroundings(rules, is_loose), Foreign.none)


def codes(found: Plan[Table]) -> list[tuple[str, bool, tuple[str, ...]]]:
    return [(one.hazard.code, one.hazard.is_certain, one.acknowledged) for one in found.consequences.found]


def test_hazards_come_after_traffic_and_rules() -> None:
    lines = list(plan_lines(plan(DNS)))
    assert lines.index("Traffic") < lines.index("Rules") < lines.index("Hazards")
    assert "  certain error HZ002: Answers were accepted as established, and are dropped untracked." in lines
    assert "      by `policy drop` in table inet f, chain input" in lines
    assert "      replies: in udp 192.168.7.53:53 -> any" in lines


def test_where_nothing_breaks_the_plan_says_that_it_was_looked_for() -> None:
    lines = list(plan_lines(plan(DNS, NOTHING)))
    assert lines[lines.index("Hazards") + 1] == "  none found"


def test_a_plan_that_changes_no_packet_reads_nothing() -> None:
    def unread() -> Surroundings:
        raise AssertionError("nothing that changes can break")

    desired = policy(DNS)
    same = plan_policy(NFTABLES, desired, NFTABLES.compile(desired))
    assert with_consequences(same, unread, Foreign.none, desired) == same
    renamed = policy(DNS.replace("name: dns", "name: names"))
    only_rules = plan_policy(NFTABLES, renamed, NFTABLES.compile(desired))
    assert only_rules
    assert "Hazards" not in list(plan_lines(with_consequences(only_rules, unread, Foreign.none, renamed)))


def test_only_what_a_plan_changes_is_a_hazard_of_it() -> None:
    more = "bypass: [{name: dns, host-client: udp/53, peers: [192.168.7.53]}, {name: ntp, host-client: udp/123}]"
    (replies,) = [one for one in plan(more, live=DNS).consequences.refused if one.traffic is Traffic.REPLIES]
    assert parse_packet("in udp 192.0.2.1:123 -> 192.0.2.2:40000") in replies.space
    assert parse_packet("in udp 192.168.7.53:53 -> 192.0.2.2:40000") not in replies.space


def test_an_acknowledged_code_is_told_and_refuses_nothing() -> None:
    found = plan(ACKNOWLEDGED)
    assert set(codes(found)) == {("HZ002", True, ("dns",)), ("HZ003", True, ("dns",))}
    assert found.consequences.refused == ()
    assert not found.consequences.fail(FailOn.POSSIBLE)
    assert "      acknowledged by dns" in list(plan_lines(found))


def test_a_code_that_is_not_named_is_not_acknowledged() -> None:
    found = plan(DNS.replace("udp/53", 'udp/53, acknowledge: "HZ003 is known, HZ0025 is none"'))
    assert set(codes(found)) == {("HZ002", True, ()), ("HZ003", True, ("dns",))}
    assert {one.code for one in found.consequences.refused} == {"HZ002"}


def test_an_acknowledgement_is_for_the_entrys_own_packets() -> None:
    found = plan(f"{ACKNOWLEDGED[:-1]}, {{name: ntp, host-client: udp/123}}]")
    replies = [one for one in found.consequences.found if one.hazard.code == "HZ002"]
    assert [one.acknowledged for one in replies] == [(), ("dns",)]
    to_dns = parse_packet("in udp 192.168.7.53:53 -> 192.0.2.2:40000")
    assert [to_dns in one.hazard.space for one in replies] == [False, True]


@pytest.mark.parametrize(
    ("fail_on", "certain", "possible"),
    [(FailOn.NONE, False, False), (FailOn.CERTAIN, True, False), (FailOn.POSSIBLE, True, True)],
)
def test_fail_on(fail_on: FailOn, certain: bool, possible: bool) -> None:
    marked = [match(meta("mark"), 7), DROP]
    perhaps = host(table("f", {"input": chain([state("untracked"), *marked], hook="input")}))
    assert {one[1] for one in codes(plan(DNS, perhaps))} == {False}
    assert plan(DNS).consequences.fail(fail_on) is certain
    assert plan(DNS, perhaps).consequences.fail(fail_on) is possible
    assert not plan(DNS, perhaps).consequences.refused
    assert not plan(DNS, NOTHING).consequences.fail(fail_on)


def test_what_is_given_up_is_told_as_a_hazard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST_WORK", 10)
    found = plan(DNS)
    assert codes(found) == [("HZ017", False, ())]
    assert found.consequences.fail(FailOn.POSSIBLE)
    assert "      too many different packets and rules to tell what breaks" in list(plan_lines(found))
    assert not remedies_for(found.consequences).found


def test_rules_that_cannot_be_read_are_told_as_a_hazard() -> None:
    found = plan(DNS, damage="the rules of this host cannot be read: damaged")
    assert codes(found) == [("HZ017", False, ())]


def test_what_is_not_known_of_a_host_is_said() -> None:
    assert "  not known: its iptables" in list(plan_lines(plan(DNS, NOTHING, unknown=("its iptables",))))


def test_tracking_again_is_a_hazard_for_flows_in_mid_stream() -> None:
    only_first = [match(payload("tcp dport"), 9100), state("new"), ACCEPT]
    rules = host(
        table("f", {"input": chain([state("established"), ACCEPT], [state("invalid"), DROP], only_first, hook="input")})
    )
    service = "bypass: [{name: metrics, host-service: tcp/9100}]"
    assert codes(removal(service, rules)) == []
    (strict,) = removal(service, rules, is_loose=False).consequences.found
    assert (strict.hazard.code, strict.hazard.is_certain, strict.is_refused) == ("HZ016", False, False)
    assert "nf_conntrack_tcp_loose is 0" in strict.hazard.note
    (unknown,) = removal(service, rules, is_loose=None).consequences.found
    assert "is not known" in unknown.hazard.note


def test_what_the_other_side_makes_known_is_not_lost_in_mid_stream() -> None:
    accepted = [match(payload("udp sport"), 53), state("untracked"), ACCEPT]
    input_chain = chain([state("established", "related"), ACCEPT], accepted, TO_ITSELF, hook="input", policy="drop")
    rules = host(table("f", {"input": input_chain}))
    assert codes(removal(DNS, rules)) == []
    silent = chain([state("new"), DROP], hook="output")
    (lost,) = removal(DNS, host(table("f", {"input": input_chain, "output": silent}))).consequences.found[:1]
    assert lost.hazard.code == "HZ016"


def test_nat_of_flows_in_mid_stream_is_told() -> None:
    to_port = [match(payload("udp dport"), 53), {"redirect": {"port": 5353}}]
    rules = host(table("n", {"pre": chain(to_port, hook="prerouting", priority=-100, kind="nat")}))
    (found,) = removal("bypass: [{name: dns, host-service: udp/53}]", rules).consequences.found
    assert found.hazard.note.startswith("NAT takes")


def test_remedies_are_in_the_plan_and_in_the_file() -> None:
    found = remedies_for(plan(DNS).consequences)
    lines = list(remedy_lines(found))
    assert lines[1] == "Remedies"
    assert any("ct state untracked accept" in line for line in lines)
    assert remedies_file(found).startswith("#!/bin/sh\n")
    assert remedies_for(plan(ACKNOWLEDGED).consequences).found == ()
    assert list(remedy_lines(remedies_for(plan(DNS, NOTHING).consequences))) == []


def test_json_is_what_the_schema_says() -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    for entries in (DNS, ACKNOWLEDGED):
        found = plan(entries)
        as_json = plan_json(found, remedies=remedies_for(found.consequences))
        validator.validate(as_json)
        assert [one["code"] for one in as_json["hazards"]["found"]] == [one[0] for one in codes(found)]
        assert as_json["hazards"]["looked"]


def test_many_hazards_are_shown_in_part() -> None:
    drops = {
        f"c{number}": chain([match(payload("udp sport"), 53), state("untracked"), *[DROP]]) for number in range(20)
    }
    rules = [[match(payload("ip daddr"), f"10.0.0.{number}"), jump(f"c{number}")] for number in range(20)]
    found = plan(DNS, host(table("f", {"input": chain(*rules, hook="input"), **drops})))
    lines = list(plan_lines(found))
    assert any(line.startswith("  ... and ") and line.endswith(" certain hazards") for line in lines)


def test_what_goes_to_a_service_is_certainly_no_answer() -> None:
    """A firewall that lets nobody begin a flow to a service loses nothing: what this host might ask from its own port
    9100 is not what the entry is about."""
    assert plan("bypass: [{name: metrics, host-service: tcp/9100}]").consequences.found == ()
    at_match = plan("bypass: [{name: metrics, match: {protocol: tcp, destination-ports: 9100, both-ways: true}}]")
    assert ("HZ002", True, ()) in codes(at_match)


def shadow_of(certainly: PacketSpace, possibly: PacketSpace, *, is_mended: bool = False) -> Shadow:
    return Shadow(certainly, possibly, lambda _: ("table ip edge, chain early", "udp dport 4789 drop"), is_mended)


def in_vain(*shadows: Shadow, live: str = "") -> Plan[Table]:
    desired = policy("bypass: [{name: vxlan, overlay: vxlan}]")
    before = NFTABLES.compile(policy(live)) if live else None
    found = plan_policy(NFTABLES, desired, before)
    return with_consequences(found, lambda: Surroundings(NOTHING), Foreign.none, desired, shadows=lambda: shadows)


def test_what_others_decide_first_is_told_with_their_rule() -> None:
    some = PacketSpace.of_packet(parse_packet("in udp 192.0.2.1:40000 -> 192.0.2.2:4789"))
    (one,) = in_vain(shadow_of(some, some)).consequences.found
    assert (one.hazard.code, one.hazard.is_certain, one.hazard.space) == ("HZ021", True, some)
    assert one.hazard.note == "by `udp dport 4789 drop` in table ip edge, chain early"
    assert not one.is_refused, "nothing is lost that was not lost before"


def test_what_others_may_decide_first_is_possible_and_what_an_apply_mends_is_nothing() -> None:
    some = PacketSpace.of_packet(parse_packet("in udp 192.0.2.1:40000 -> 192.0.2.2:4789"))
    assert codes(in_vain(shadow_of(PacketSpace.none(), some))) == [("HZ021", False, ())]
    assert codes(in_vain(shadow_of(some, some, is_mended=True))) == []
    other = PacketSpace.of_packet(parse_packet("in udp 192.0.2.1:40000 -> 192.0.2.2:53"))
    assert codes(in_vain(shadow_of(other, other))) == [], "the policy does not mean to bypass that"


def test_a_plan_with_nothing_to_do_has_nothing_in_vain() -> None:
    everything = PacketSpace.all()
    assert codes(in_vain(shadow_of(everything, everything), live="bypass: [{name: vxlan, overlay: vxlan}]")) == []
