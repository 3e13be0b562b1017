"""Hazards on the command line, against what was saved of a host: statuses, files, and the way of one packet."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hazards.listings import ACCEPT, chain, match, meta, payload, state, table
from kernel.command_line import done, ran

SCHEMAS = Path(__file__).parents[2] / "schemas"
ANSWER = "in udp 192.168.7.53:53 -> 192.168.7.71:40000"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    entry = "{name: dns, host-client: udp/53, peers: [192.168.7.53]}"
    path.write_text(f"apiVersion: ctpolicy/v1\nname: tested\nbypass:\n  - {entry}\n")
    return path


def saved(path: Path, *tables: list[dict[str, object]]) -> Path:
    path.write_text(json.dumps({"nftables": [one for listed in tables for one in listed]}))
    return path


@pytest.fixture
def stateful(tmp_path: Path) -> Path:
    rules = [[state("established", "related"), ACCEPT], [match(meta("iifname"), "lo"), ACCEPT]]
    return saved(tmp_path / "stateful.json", table("f", {"input": chain(*rules, hook="input", policy="drop")}))


@pytest.fixture
def open_host(tmp_path: Path) -> Path:
    return saved(tmp_path / "open.json", table("f", {"input": chain([match(payload("udp dport"), 9), ACCEPT])}))


@pytest.mark.parametrize(("fail_on", "status"), [(None, 0), ("none", 0), ("certain", 8), ("possible", 8)])
def test_plan_fails_only_if_it_is_to(fail_on: str | None, status: int, policy: Path, stateful: Path) -> None:
    asked = ["--fail-on", fail_on] if fail_on else []
    found = ran("plan", "--live", stateful, *asked, policy)
    assert found.status == status, found
    assert "certain error HZ002" in found.output
    assert "not known: rules of iptables-legacy" in found.output


def test_plan_of_a_host_that_breaks_nothing_passes(policy: Path, open_host: Path) -> None:
    assert "Hazards\n  none found\n" in done("plan", "--live", open_host, "--fail-on", "possible", policy)


def test_hazards_come_before_pending_changes_in_the_status(policy: Path, stateful: Path) -> None:
    assert ran("plan", "--live", stateful, "--detailed-exitcode", policy).status == 10
    assert ran("plan", "--live", stateful, "--detailed-exitcode", "--fail-on", "certain", policy).status == 8


def test_a_saved_plan_has_hazards_too(policy: Path, stateful: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert ran("plan", "--live", stateful, "--out", plan, "--fail-on", "certain", policy).status == 8
    assert "certain error HZ002" in done("plan", "--live", stateful, plan)
    assert ran("plan", "--live", stateful, "--fail-on", "certain", plan).status == 8


def test_remedies_are_a_script_that_a_shell_takes(policy: Path, stateful: Path, tmp_path: Path) -> None:
    script = tmp_path / "remedies.sh"
    done("plan", "--live", stateful, "--remedies", script, policy)
    assert "nft 'add rule inet f input" in script.read_text()
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_trace_follows_a_packet_before_and_after(policy: Path, stateful: Path) -> None:
    told = done("trace", "--live", stateful, ANSWER, policy)
    assert "before the plan, as an answer (established): accepted" in told
    assert "after the plan, untracked: dropped" in told
    assert "not known: rules of iptables-legacy" in told


def test_trace_without_a_policy_is_the_host_as_it_is(stateful: Path) -> None:
    told = done("trace", "--live", stateful, ANSWER)
    assert "before and after the plan, as an answer (established): accepted" in told
    assert "untracked" not in told


def test_trace_as_json_is_what_the_schema_says(policy: Path, stateful: Path) -> None:
    found = json.loads(done("trace", "--json", "--live", stateful, ANSWER, policy))
    Draft202012Validator(json.loads((SCHEMAS / "trace-v1.schema.json").read_text())).validate(found)
    assert (found["untrackedBefore"], found["untrackedAfter"]) == (False, True)


def test_trace_of_no_packet_is_bad_input(stateful: Path) -> None:
    assert ran("trace", "--live", stateful, "in udp nonsense").status == 2


def test_review_says_what_breaks_on_each_host(policy: Path, stateful: Path, open_host: Path) -> None:
    alone = ("review", "--no-kernel", "--examples", "1")
    found = ran(*alone, "--live", stateful, "--live", open_host, policy)
    assert found.status == 8, found
    assert f"Hazards: nothing breaks on {stateful}: 2 certain, 0 possible" in found.output
    assert f"{policy}:4:12: error HZ002" in found.output
    assert ran(*alone, "--live", open_host, policy).status == 0
    assert "hazards" not in done(*alone, policy)


def test_review_asks_only_what_the_change_breaks(policy: Path, stateful: Path) -> None:
    found = ran("review", "--no-kernel", "--examples", "1", "--base", policy, "--live", stateful, policy)
    assert found.status == 0, found
    assert "hazards (no packet changes)" in found.output


def test_an_acknowledged_hazard_is_a_note_of_the_review(policy: Path, stateful: Path) -> None:
    known = "peers: [192.168.7.53], acknowledge: 'HZ002, HZ003: known'"
    policy.write_text(policy.read_text().replace("peers: [192.168.7.53]", known))
    found = ran("review", "--no-kernel", "--examples", "1", "--live", stateful, policy)
    assert found.status == 0, found
    assert "HZ002" in found.output
    assert "acknowledged by dns" in found.output


def test_each_code_of_a_hazard_is_in_the_reports_rules(policy: Path, stateful: Path, tmp_path: Path) -> None:
    sarif = tmp_path / "review.sarif"
    ran("review", "--no-kernel", "--examples", "1", "--live", stateful, "--output", sarif, policy)
    found = json.loads(sarif.read_text())["runs"][0]
    rules = {rule["id"] for rule in found["tool"]["driver"]["rules"]}
    assert {one["ruleId"] for one in found["results"]} <= rules
    assert "HZ002" in {one["ruleId"] for one in found["results"]}


def test_a_dump_that_is_none_is_bad_input(policy: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    dump.write_text("nothing of the kind\n")
    assert ran("review", "--live", dump, policy).status == 2
