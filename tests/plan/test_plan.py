"""What plans say: entries first, then rules, and for programs as their schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.meaning import decide
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.evaluate import trace
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.plan.as_json import plan_json
from ctpolicy.plan.explain import explain_policy, explain_table, explanation_json, explanation_lines
from ctpolicy.plan.plan import EntryChange, Plan, Turn, plan_policy, plan_removal
from ctpolicy.plan.report import MOST_LINES, plan_lines
from ctpolicy.plan.status import status, status_json, status_lines
from policies import METRICS, VXLAN, policy, table

SCHEMAS = Path(__file__).parents[2] / "schemas"


def _validate(value: Any, schema: str) -> None:
    loaded = json.loads((SCHEMAS / schema).read_text())
    Draft202012Validator.check_schema(loaded)
    Draft202012Validator(loaded).validate(value)


def _changes(plan: Plan) -> dict[str, Turn]:
    return {entry.name: entry.turn for entry in plan.entries}


def test_a_new_entry_is_added_and_shown_by_a_packet_that_it_decides() -> None:
    plan = plan_policy(policy(VXLAN), None)
    (entry,) = plan.entries
    assert (entry.name, entry.role, entry.turn) == ("vxlan", "bypass", Turn.ADDED)
    assert entry.witness is not None
    assert entry.witness.untracked
    assert decide(policy(VXLAN), entry.witness.packet).untracked


def test_only_the_entry_that_changes_is_named() -> None:
    before = "bypass: [{name: a, host-service: tcp/80}, {name: b, host-service: tcp/81}]"
    after = "bypass: [{name: a, host-service: tcp/80}, {name: b, host-service: tcp/81-82}]"
    assert _changes(plan_policy(policy(after), table(before))) == {"b": Turn.CHANGED}


def test_an_entry_is_not_named_because_another_one_shares_its_port() -> None:
    before = "bypass: [{name: a, host-service: tcp/80, peers: 192.0.2.1}]"
    after = before.replace("]", ", {name: b, host-service: tcp/80, peers: 192.0.2.2}]")
    assert _changes(plan_policy(policy(after), table(before))) == {"b": Turn.ADDED}


def test_a_group_that_changes_names_every_entry_that_uses_it() -> None:
    wider = METRICS.replace("10.1.0.0/16", "10.2.0.0/16")
    assert _changes(plan_policy(policy(wider), table(METRICS))) == {"node-metrics": Turn.CHANGED}


def test_a_witness_of_a_change_is_decided_differently_before_and_after() -> None:
    wider = METRICS.replace("192.168.7.0/24", "192.168.6.0/23")
    plan = plan_policy(policy(wider), table(METRICS))
    (entry,) = plan.entries
    assert entry.witness is not None
    assert plan.live is not None
    assert trace(plan.live, entry.witness.packet).untracked is False
    assert decide(policy(wider), entry.witness.packet).untracked


def test_an_entry_that_goes_is_named() -> None:
    assert _changes(plan_policy(policy("bypass: [{name: web, host-service: tcp/80}]"), table(VXLAN))) == {
        "vxlan": Turn.REMOVED,
        "web": Turn.ADDED,
    }


def test_removal_names_every_entry() -> None:
    assert plan_removal(table(METRICS)).entries == (
        EntryChange("node-metrics", "bypass", Turn.REMOVED),
        EntryChange("ssh", "track", Turn.REMOVED),
    )


def test_nothing_to_do_says_so() -> None:
    plan = plan_policy(policy(VXLAN), table(VXLAN))
    assert not plan
    assert list(plan_lines(plan)) == ["Nothing to do: the live table is what the policy means."]
    assert plan.document() == {"nftables": []}
    assert not plan_removal(None)
    assert plan_removal(None).document() == {"nftables": []}


def test_a_plan_reads_traffic_first_and_then_rules() -> None:
    wider = METRICS.replace("10.1.0.0/16", "10.2.0.0/16")
    assert "\n".join(plan_lines(plan_policy(policy(wider), table(METRICS)))) == (
        "Traffic\n"
        "  ~ bypass node-metrics  untracked now: in tcp 10.2.0.0:40000 -> 192.0.2.2:9100\n"
        "\n"
        "Rules\n"
        "  ~ table inet ctpolicy\n"
        "    ~ set nodes_v4: 1 element\n"
        "        - 10.1.0.0/16\n"
        "    ~ set nodes_v4: 1 element\n"
        "        + 10.2.0.0/16"
    )


def test_a_large_plan_is_cut_and_says_how_much_is_left() -> None:
    entries = "\n".join(f"  - {{name: e{n}, host-service: tcp/{1000 + n}}}" for n in range(200))
    lines = list(plan_lines(plan_policy(policy(f"bypass:\n{entries}"), None)))
    assert len(lines) < 200
    assert f"  ... and {200 - MOST_LINES} more of 200 entries" in lines


@pytest.mark.parametrize(
    "plan",
    [
        plan_policy(policy(METRICS), None),
        plan_policy(policy(METRICS), table(VXLAN)),
        plan_policy(policy(METRICS), table(METRICS)),
        plan_removal(table(METRICS)),
        plan_removal(None),
    ],
)
def test_a_plan_as_json_is_as_its_schema_says(plan: Plan) -> None:
    found = plan_json(plan)
    _validate(found, "plan-v1.schema.json")
    assert found["pending"] is bool(plan)
    assert found["transaction"] == plan.document()


def test_status_of_a_live_policy() -> None:
    found = status(table(METRICS), plan_policy(policy(METRICS), table(METRICS)))
    assert found.in_force
    assert found.drifted is False
    assert [(entry.role, entry.name) for entry in found.entries] == [("bypass", "node-metrics"), ("track", "ssh")]
    _validate(status_json(found), "status-v1.schema.json")
    assert "no drift from the policy" in list(status_lines(found))


def test_status_of_an_empty_host_and_of_drift() -> None:
    assert not status(None).in_force
    _validate(status_json(status(None)), "status-v1.schema.json")
    drifted = status(table(VXLAN), plan_policy(policy(METRICS), table(VXLAN)))
    assert drifted.drifted
    assert drifted.in_force


def test_explain_names_entry_and_rules_in_both_directions() -> None:
    packet = parse_packet("in tcp 192.168.7.5:40000 -> 192.168.7.71:9100")
    there, back = explain_policy(packet, policy(METRICS))
    assert there.trace.untracked is back.trace.untracked is True
    assert back.packet == packet.reverse()
    assert there.trace.steps[-1].chain == "bypass_node-metrics"
    assert list(explanation_lines(there))[1] == "  untracked: bypass node-metrics"
    body = {
        "apiVersion": "ctpolicy.explain/v1",
        "packet": explanation_json(there),
        "answer": explanation_json(explain_table(packet, table(METRICS))[1]),
    }
    _validate(body, "explain-v1.schema.json")


def test_explain_by_policy_and_by_its_table_agree() -> None:
    for text in ("in tcp 192.168.7.5:40000 -> 192.168.7.71:9100", "in tcp 192.0.2.1:1 -> 192.0.2.2:22",
                 "forward udp 192.0.2.1:1 -> 192.0.2.2:9"):  # fmt: skip
        packet = parse_packet(text)
        by_policy, by_table = explain_policy(packet, policy(METRICS)), explain_table(packet, table(METRICS))
        assert [e.trace for e in by_policy] == [e.trace for e in by_table]
        assert by_policy[0].decision == decide(policy(METRICS), packet)


def test_a_rule_that_is_not_modelled_makes_the_answer_unknown() -> None:
    from ctpolicy.nftables.read import read_document

    own = compile_policy(policy(VXLAN))
    chain = {"family": "inet", "table": "ctpolicy", "name": "prerouting", "type": "filter", "hook": "prerouting",
             "prio": -300, "policy": "accept"}  # fmt: skip
    rule = {"family": "inet", "table": "ctpolicy", "chain": "prerouting", "expr": [{"limit": {"rate": 1}}]}
    (live,) = read_document({"nftables": [{"chain": chain}, {"rule": rule}]})
    packet = parse_packet("in udp 192.0.2.1:1 -> 192.0.2.2:4789")
    assert trace(live, packet).untracked is None
    assert trace(own, packet).untracked is True
