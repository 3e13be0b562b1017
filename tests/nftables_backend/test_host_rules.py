"""Rules of nftables in the form that the walk follows."""

from __future__ import annotations

import pytest

from ctpolicy.hazards.rules import About, Asked, Decision, Nat, Service, Translation, Use, Verdict, Within
from ctpolicy.hazards.situations import WITH_ENTRY, Situation
from ctpolicy.packetspace.intervals import IntervalSet
from hazards.listings import ACCEPT, DROP, Expression, chain, host, jump, match, meta, payload, state, steps_of, table

NEW, ESTABLISHED, REPLY = Situation.NEW, Situation.ESTABLISHED, Situation.REPLY
RELATED, UNTRACKED, INVALID = Situation.RELATED, Situation.UNTRACKED, Situation.INVALID
CT_STATE: Expression = {"ct": {"key": "state"}}


def test_negated_port_still_asks_for_its_protocol() -> None:
    (step,) = steps_of(match(payload("udp dport"), 53, "!="), ACCEPT)
    port = Within.of(Asked.DESTINATION_PORT, IntervalSet.single(53), negated=True)
    assert step.fields == (Within.single(Asked.PROTOCOL, 17), port)
    assert not step.open
    assert step.action == Decision(Verdict.ACCEPT)


def test_address_comes_with_its_family() -> None:
    (step,) = steps_of(match(payload("ip6 saddr"), "fd00::1"), DROP)
    assert Within.single(Asked.FAMILY, 1) in step.fields


@pytest.mark.parametrize(
    ("op", "right", "held"),
    [
        ("in", ["established", "related"], {ESTABLISHED, REPLY, RELATED}),
        ("==", "new", {NEW}),
        ("==", {"set": ["new", "untracked"]}, {NEW, UNTRACKED}),
        ("!=", "established", {NEW, RELATED, UNTRACKED, INVALID}),
        ("!=", {"set": ["new", "invalid"]}, {ESTABLISHED, REPLY, RELATED, UNTRACKED}),
        ("!", ["new", "invalid"], {ESTABLISHED, REPLY, RELATED, UNTRACKED}),
        ("!=", {"|": ["new", "established"]}, set(Situation)),  # a state has one bit, and is never both
        ("==", {"|": ["new", "established"]}, set()),
    ],
)
def test_state_is_exact(op: str, right: object, held: set[Situation]) -> None:
    (step,) = steps_of(match(CT_STATE, right, op), ACCEPT)
    assert step.tracking.certainly == step.tracking.possibly == held


@pytest.mark.parametrize(
    ("op", "right", "held"),
    [
        ("==", "new", {NEW}),
        ("!=", "new", set(Situation) - {NEW}),
        ("==", 0, {RELATED, UNTRACKED, INVALID}),
        ("!=", 0, {NEW, ESTABLISHED, REPLY}),
        ("==", "related", set()),  # never left by the mask
    ],
)
def test_masked_state_is_exact(op: str, right: object, held: set[Situation]) -> None:
    masked = {"&": [CT_STATE, ["new", "established"]]}
    (step,) = steps_of(match(masked, right, op), ACCEPT)
    assert step.tracking.certainly == step.tracking.possibly == held


def test_map_of_states_is_a_step_for_each() -> None:
    pairs = [["established", ACCEPT], ["invalid", DROP], ["new", jump("other")]]
    steps = steps_of({"vmap": {"key": CT_STATE, "data": {"set": pairs}}})
    assert [step.tracking.certainly for step in steps] == [{ESTABLISHED, REPLY}, {INVALID}, {NEW}]
    assert [step.action for step in steps] == [
        Decision(Verdict.ACCEPT),
        Decision(Verdict.DROP),
        Decision(Verdict.JUMP, "other"),
    ]


def test_question_about_an_entry_holds_for_no_packet_without_one() -> None:
    for asked in ({"ct": {"key": "mark"}}, {"ct": {"key": "helper"}}, {"&": [{"ct": {"key": "mark"}}, 255]}):
        for op in ("==", "!="):
            (step,) = steps_of(match(asked, 1, op), ACCEPT)
            assert step.tracking.needs_entry
            assert step.tracking.certainly == set()


def test_direction_is_known_but_of_errors() -> None:
    (step,) = steps_of(match({"ct": {"key": "direction"}}, "reply", "!="), ACCEPT)
    assert step.tracking.certainly == {NEW, ESTABLISHED}
    assert step.tracking.possibly == {NEW, ESTABLISHED, RELATED}


@pytest.mark.parametrize(
    ("question", "about"),
    [
        (match(meta("mark"), 1), About.MARK),
        (match({"&": [meta("mark"), 255]}, 1), About.MARK),
        (match({"&": [payload("tcp flags"), ["syn", "ack"]]}, "syn"), About.PACKET),
        (match(meta("skuid"), 0), About.PACKET),
        (match(meta("pkttype"), "multicast"), About.PACKET),
        (match(payload("ip saddr"), "@missing"), About.ANYTHING),
        ({"limit": {"rate": 1, "per": "second"}}, About.ANYTHING),
        (match({"numgen": {"mode": "random", "mod": 2, "offset": 0}}, 0), About.ANYTHING),
    ],
)
def test_what_is_not_modelled_is_open(question: Expression, about: About) -> None:
    (step,) = steps_of(question, ACCEPT)
    assert [one.about for one in step.open] == [about]


def test_flags_of_tcp_are_asked_of_tcp_alone() -> None:
    (step,) = steps_of(match({"&": [payload("tcp flags"), ["syn"]]}, 0, "!="), DROP)
    assert step.fields == (Within.single(Asked.PROTOCOL, 6),)


def test_unknown_statement_may_do_anything() -> None:
    steps = steps_of({"something": {"new": 1}})
    assert [step.action for step in steps] == [Decision(Verdict.DROP), Decision(Verdict.ACCEPT)]
    assert all(step.open for step in steps)
    steps = steps_of({"something": {"new": jump("other")}})
    assert steps[0].action == Decision(Verdict.JUMP, "other")


def test_unknown_map_does_not_lead_back() -> None:
    """A map whose elements are not known may lead to any chain but to one from which packets come there."""
    lookup = {"vmap": {"key": meta("mark"), "data": "@unknown"}}
    read = host(table("t", {"a": chain([jump("b")]), "b": chain([lookup]), "c": chain()}))
    targets = [getattr(step.action, "target", "") for step in read.tables[0].chains["b"].steps]
    assert targets == ["c", "", ""]


def test_complete_numgen_map_leads_somewhere() -> None:
    key = {"numgen": {"mode": "random", "mod": 2, "offset": 0}}
    steps = steps_of({"vmap": {"key": key, "data": {"set": [[0, ACCEPT], [1, DROP]]}}})
    assert [bool(step.open) for step in steps] == [True, False]
    steps = steps_of({"vmap": {"key": key, "data": {"set": [[0, ACCEPT]]}}})
    assert [bool(step.open) for step in steps] == [True]
    steps = steps_of({"vmap": {"key": key, "data": {"set": [[0, {"continue": None}], [1, DROP]]}}})
    assert [bool(step.open) for step in steps] == [True]


def test_translations_say_to_where() -> None:
    (step,) = steps_of(match(payload("tcp dport"), 80), {"dnat": {"addr": "10.0.0.1", "family": "ip", "port": 8080}})
    assert step.action == Translation(Nat.DESTINATION, "10.0.0.1", 8080)
    assert Within.single(Asked.FAMILY, 0) in step.fields
    (step,) = steps_of({"masquerade": None})
    assert step.action == Translation(Nat.MASQUERADE)


@pytest.mark.parametrize(
    ("statement", "service"),
    [
        ({"ct helper": "ftp"}, Service.HELPER),
        ({"mangle": {"key": {"ct": {"key": "mark"}}, "value": 1}}, Service.CT_MARK),
        ({"mangle": {"key": {"ct": {"key": "zone"}}, "value": 1}}, Service.ZONE),
        ({"mangle": {"key": meta("mark"), "value": {"ct": {"key": "mark"}}}}, Service.RESTORED_MARK),
        ({"mangle": {"key": meta("mark"), "value": 1}}, Service.MARK),
        ({"ct count": {"val": 10, "inv": True}}, Service.LIMIT),
        ({"flow": {"op": "add", "flowtable": "@f"}}, Service.OFFLOAD),
        ({"notrack": None}, Service.NOTRACK),
    ],
)
def test_use_of_conntrack_is_a_step_and_the_rule_goes_on(statement: Expression, service: Service) -> None:
    first, second = steps_of(statement, ACCEPT)
    assert first.action == Use(service)
    assert second.action == Decision(Verdict.ACCEPT)


def test_rule_ends_where_an_entry_is_needed_for_a_value() -> None:
    _, step = steps_of({"mangle": {"key": meta("mark"), "value": {"ct": {"key": "mark"}}}}, ACCEPT)
    assert step.tracking.certainly == WITH_ENTRY == step.tracking.possibly


def test_reject_is_of_its_family() -> None:
    (step,) = steps_of({"reject": {"type": "icmpv6", "expr": "port-unreachable"}})
    assert step.fields == (Within.single(Asked.FAMILY, 1),)
    assert step.action == Decision(Verdict.REJECT)


def test_rules_say_where_they_stand() -> None:
    read = host(table("firewall", {"input": chain([state("new"), ACCEPT], hook="input", policy="drop")}))
    one = read.tables[0].chains["input"]
    assert str(one.steps[0].rule) == "`ct state new accept` in table inet firewall, chain input, rule 1"
    assert one.base is not None
    assert str(one.base.policy.rule) == "`policy drop` in table inet firewall, chain input"
    assert one.base.policy.action == Decision(Verdict.DROP)


def test_other_families_are_told_as_not_followed() -> None:
    read = host(
        table("b", {"c": chain([DROP], hook="forward")}, "bridge"),
        table("n", {"c": chain([DROP], hook="ingress")}, "netdev"),
        table("i", {"c": chain([DROP], hook="ingress")}),
        table("empty", {"c": chain(hook="forward")}, "bridge"),
    )
    assert [one.split(",")[0] for one in read.unwalked] == ["table bridge b", "table inet i", "table netdev n"]


def test_our_own_table_is_left_out() -> None:
    assert host(table("ctpolicy", {"c": chain([{"notrack": None}], hook="prerouting", priority=-300)})).tables == ()
