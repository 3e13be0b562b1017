"""What plans say: entries first, then rules, and for programs as their schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.meaning import decide
from ctpolicy.netfilter.backend import Turn
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.evaluate import trace
from ctpolicy.nftables.read import read_document
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.plan.as_json import plan_json
from ctpolicy.plan.explain import explain_live, explain_policy, explanation_json, explanation_lines
from ctpolicy.plan.live import Live
from ctpolicy.plan.plan import EntryChange, Plan, plan_policy, plan_removal
from ctpolicy.plan.report import MOST_LINES, plan_lines
from ctpolicy.plan.side import compare_within, own_side, policy_side
from ctpolicy.plan.traffic import traffic_lines
from policies import METRICS, VXLAN, policy, table

SCHEMAS = Path(__file__).parents[2] / "schemas"


def _validate(value: Any, schema: str) -> None:
    loaded = json.loads((SCHEMAS / schema).read_text())
    Draft202012Validator.check_schema(loaded)
    Draft202012Validator(loaded).validate(value)


def _changes(plan: Plan[Any]) -> dict[str, Turn]:
    return {entry.name: entry.turn for entry in plan.entries}


def test_a_new_entry_is_added_and_shown_by_packets_that_it_decides() -> None:
    plan = plan_policy(NFTABLES, policy(VXLAN), None)
    assert _changes(plan) == {"vxlan": Turn.ADDED}
    assert not plan.traffic.tracked
    assert {shift.entries for shift in plan.traffic.untracked} == {("vxlan",)}
    assert all(shift.is_certain and decide(policy(VXLAN), shift.witness).untracked for shift in plan.traffic.untracked)


def test_only_the_entry_that_changes_is_named() -> None:
    before = "bypass: [{name: a, host-service: tcp/80}, {name: b, host-service: tcp/81}]"
    after = "bypass: [{name: a, host-service: tcp/80}, {name: b, host-service: tcp/81-82}]"
    assert _changes(plan_policy(NFTABLES, policy(after), table(before))) == {"b": Turn.CHANGED}


def test_an_entry_is_not_named_because_another_one_shares_its_port() -> None:
    before = "bypass: [{name: a, host-service: tcp/80, peers: 192.0.2.1}]"
    after = before.replace("]", ", {name: b, host-service: tcp/80, peers: 192.0.2.2}]")
    assert _changes(plan_policy(NFTABLES, policy(after), table(before))) == {"b": Turn.ADDED}


def test_a_group_that_changes_names_every_entry_that_uses_it() -> None:
    wider = METRICS.replace("10.1.0.0/16", "10.2.0.0/16")
    assert _changes(plan_policy(NFTABLES, policy(wider), table(METRICS))) == {"node-metrics": Turn.CHANGED}


def test_witnesses_are_decided_differently_before_and_after() -> None:
    changed = METRICS.replace("192.168.7.0/24", "192.168.6.0/24")
    plan = plan_policy(NFTABLES, policy(changed), table(METRICS))
    assert plan.traffic.untracked
    assert plan.traffic.tracked
    for shifts, before, after in ((plan.traffic.untracked, METRICS, changed), (plan.traffic.tracked, changed, METRICS)):
        for shift in shifts:
            assert not decide(policy(before), shift.witness).untracked
            assert decide(policy(after), shift.witness).untracked
            assert shift.entries == ("node-metrics",)


def test_one_address_that_is_added_is_the_only_traffic_that_changes() -> None:
    more = METRICS.replace("10.1.0.0/16", "10.1.0.0/16, 192.0.2.9")
    traffic = plan_policy(NFTABLES, policy(more), table(METRICS)).traffic
    assert traffic.is_complete
    assert not traffic.tracked
    assert [shift.packets for shift in traffic.untracked][:2] == [
        "in tcp 192.0.2.9 -> any:9100,9537",
        "out tcp any:9100,9537 -> 192.0.2.9 dev not lo",
    ]


def test_other_rules_for_the_same_packets_are_no_change_of_traffic() -> None:
    # Half of a prefix beside the whole of it says nothing new.
    one = "{name: a, host-service: tcp/80, peers: 192.0.2.0/24}"
    plan = plan_policy(
        NFTABLES, policy(f"bypass: [{one}]"), table(f"bypass: [{one}, {one.replace('a,', 'b,').replace('/24', '/25')}]")
    )
    assert plan
    assert not plan.traffic
    assert "  no packet changes, only rules do" in list(plan_lines(plan))


def test_an_entry_that_goes_is_named() -> None:
    assert _changes(plan_policy(NFTABLES, policy("bypass: [{name: web, host-service: tcp/80}]"), table(VXLAN))) == {
        "vxlan": Turn.REMOVED,
        "web": Turn.ADDED,
    }


def test_removal_names_every_entry() -> None:
    assert plan_removal(NFTABLES, table(METRICS)).entries == (
        EntryChange("node-metrics", "bypass", Turn.REMOVED),
        EntryChange("ssh", "track", Turn.REMOVED),
    )


def test_nothing_to_do_says_so() -> None:
    plan = plan_policy(NFTABLES, policy(VXLAN), table(VXLAN))
    assert not plan
    assert list(plan_lines(plan)) == ["Nothing to do: what is live is what the policy means."]
    assert plan.document() == {"nftables": []}
    assert not plan_removal(NFTABLES, None)
    assert plan_removal(NFTABLES, None).document() == {"nftables": []}


def test_a_plan_reads_traffic_first_and_then_rules() -> None:
    changed = "bypass: [{name: web, overlay: {protocol: gre}, peers: [192.0.2.1, 192.0.2.9], paths: [in, out]}]"
    before = changed.replace(", 192.0.2.9", "")
    assert "\n".join(plan_lines(plan_policy(NFTABLES, policy(changed), table(before)))) == (
        "Traffic\n"
        "  ~ bypass web\n"
        "  becomes untracked\n"
        "    + in gre 192.0.2.9 -> any  by web\n"
        "        such as in gre 192.0.2.9 -> 192.0.2.1\n"
        "    + out gre any -> 192.0.2.9  by web\n"
        "        such as out gre 198.51.100.1 -> 192.0.2.9\n"
        "\n"
        "Rules\n"
        "  ~ table inet ctpolicy\n"
        "    + set web_peers_v4: 2 elements\n"
        "        + 192.0.2.1\n"
        "        + 192.0.2.9\n"
        "    ~ chain output_gre\n"
        "        - ip daddr 192.0.2.1 goto bypass_web\n"
        "        + ip daddr @web_peers_v4 goto bypass_web\n"
        "    ~ chain prerouting_gre\n"
        "        - ip saddr 192.0.2.1 fib daddr type @taken_by_host goto bypass_web\n"
        "        + ip saddr @web_peers_v4 fib daddr type @taken_by_host goto bypass_web"
    )


def test_a_large_plan_is_cut_and_says_how_much_is_left() -> None:
    entries = "\n".join(f"  - {{name: e{n}, host-service: tcp/{1000 + n}}}" for n in range(200))
    lines = list(plan_lines(plan_policy(NFTABLES, policy(f"bypass:\n{entries}"), None)))
    assert len(lines) < 200
    assert f"  ... and {200 - MOST_LINES} more of 200 entries" in lines


@pytest.mark.parametrize(
    "plan",
    [
        plan_policy(NFTABLES, policy(METRICS), None),
        plan_policy(NFTABLES, policy(METRICS), table(VXLAN)),
        plan_policy(NFTABLES, policy(METRICS), table(METRICS)),
        plan_removal(NFTABLES, table(METRICS)),
        plan_removal(NFTABLES, None),
    ],
)
def test_a_plan_as_json_is_as_its_schema_says(plan: Plan[Any]) -> None:
    found = plan_json(plan)
    _validate(found, "plan-v1.schema.json")
    assert found["pending"] is bool(plan)
    assert found["transaction"] == plan.document()


def test_explain_names_entry_and_rules_in_both_directions() -> None:
    packet = parse_packet("in tcp 192.168.7.5:40000 -> 192.168.7.71:9100")
    there, back = explain_policy(NFTABLES, packet, policy(METRICS))
    assert there.way.untracked is back.way.untracked is True
    assert back.packet == packet.reverse()
    assert there.way.steps[-1].chain == "bypass_node-metrics"
    assert list(explanation_lines(there))[1] == "  untracked: bypass node-metrics"
    body = {
        "apiVersion": "ctpolicy.explain/v1",
        "packet": explanation_json(there),
        "answer": explanation_json(explain_live(NFTABLES, packet, Live((table(METRICS),)))[1]),
    }
    _validate(body, "explain-v1.schema.json")


def test_explain_by_policy_and_by_its_table_agree() -> None:
    for text in ("in tcp 192.168.7.5:40000 -> 192.168.7.71:9100", "in tcp 192.0.2.1:1 -> 192.0.2.2:22",
                 "forward udp 192.0.2.1:1 -> 192.0.2.2:9"):  # fmt: skip
        packet = parse_packet(text)
        by_policy, by_table = (
            explain_policy(NFTABLES, packet, policy(METRICS)),
            explain_live(NFTABLES, packet, Live((table(METRICS),))),
        )
        assert [e.way for e in by_policy] == [e.way for e in by_table]
        assert by_policy[0].decision == decide(policy(METRICS), packet)


def test_a_rule_that_is_not_modelled_makes_the_answer_unknown() -> None:
    own = compile_policy(policy(VXLAN))
    chain = {"family": "inet", "table": "ctpolicy", "name": "prerouting", "type": "filter", "hook": "prerouting",
             "prio": -300, "policy": "accept"}  # fmt: skip
    rule = {"family": "inet", "table": "ctpolicy", "chain": "prerouting", "expr": [{"limit": {"rate": 1}}]}
    (live,) = read_document({"nftables": [{"chain": chain}, {"rule": rule}]})
    packet = parse_packet("in udp 192.0.2.1:1 -> 192.0.2.2:4789")
    assert trace(live, packet).untracked is None
    assert trace(own, packet).untracked is True


def test_explain_names_somebody_elses_table_too() -> None:
    own = {"family": "inet", "table": "ovn_notrack"}
    listed = [
        {"chain": own | {"name": "c", "type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}},
        {"rule": own | {"chain": "c", "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 6081}},
            {"notrack": None},
        ]}},
    ]  # fmt: skip
    live = (*read_document({"nftables": listed}), table(VXLAN))
    there, back = explain_live(NFTABLES, parse_packet("in udp 192.0.2.1:40000 -> 192.0.2.2:6081"), Live(live))
    assert there.untracked
    assert (
        list(explanation_lines(there))[1] == "  untracked: table inet ovn_notrack, chain c (OpenShift OVN-Kubernetes)"
    )
    assert back.untracked is False


def test_a_comparison_that_is_too_large_is_given_up_and_says_so() -> None:
    # Services and clients mixed, each with peers of its own: their diagram grows with the square of their number.
    entries = "\n".join(
        f"  - {{name: e{n}, {'host-service' if n % 2 else 'host-client'}: tcp/{1000 + n}, peers: 10.0.{n}.0/24}}"
        for n in range(200)
    )
    tested = policy(f"bypass:\n{entries}")
    given_up = compare_within(lambda: own_side(NFTABLES, None), lambda: policy_side(tested), 10_000)
    assert given_up.is_too_large
    assert not given_up.is_complete
    assert "too many" in "".join(traffic_lines(given_up))
    assert compare_within(lambda: own_side(NFTABLES, None), lambda: policy_side(tested)).untracked
