"""The review for programs: everything is in it, by a schema that allows nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ctpolicy.language.schema import misfit, shipped_schema
from ctpolicy.review.reports.as_json import json_report, json_text
from ctpolicy.review.review import Direction, Level, Result, Risk, Subject, Turn
from review.reviews import changed, everything, large_change, mistaken, no_change, passed, unread_base


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that describes a value."""
    if isinstance(schema, dict):
        if schema.keys() & {"type", "enum", "const", "$ref", "anyOf"}:
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_the_schema_is_strict() -> None:
    for described in objects(shipped_schema("review")):
        if "properties" in described:
            assert described["additionalProperties"] is False
            assert described["required"] == list(described["properties"])
            assert all("description" in part or "$ref" in part for part in described["properties"].values())


def test_the_schema_names_every_word_that_there_is() -> None:
    defined = shipped_schema("review")["$defs"]
    checked, moved = defined["check"]["properties"], defined["move"]["properties"]
    assert checked["subject"]["enum"] == [subject.name.lower() for subject in Subject]
    assert checked["result"]["enum"] == [result.value for result in Result]
    assert defined["remark"]["properties"]["level"]["enum"] == [level.value for level in Level]
    assert moved["direction"]["enum"] == [direction.name.lower() for direction in Direction]
    assert moved["risk"]["enum"] == [risk.name.lower() for risk in Risk]
    assert defined["turn"]["properties"]["turn"]["enum"] == [turn.name.lower() for turn in Turn]


def test_what_the_schema_does_not_name_is_refused() -> None:
    written = json.loads(json_report(everything()))
    assert misfit(written, "review") is None
    for path in ([], ["checks", 0], ["checks", 0, "remarks", 0], ["change"], ["change", "moves", 0], ["entries", 0]):
        told = json.loads(json_report(everything()))
        inner = told
        for step in path:
            inner = inner[step]
        inner["more"] = 1
        assert misfit(told, "review") is not None
        del inner["more"]
        inner.popitem()
        assert misfit(told, "review") is not None


def test_all_that_is_told_is_there() -> None:
    review = everything()
    written = json.loads(json_report(review))
    assert written["passed"] is False
    assert [check["name"] for check in written["checks"]] == [check.name for check in review.checks]
    remark = next(check for check in written["checks"] if check["subject"] == "lints")["remarks"][0]
    assert remark == {
        "code": "CT003",
        "level": "warning",
        "message": "bypasses one direction of flows whose answers stay tracked",
        "remedy": "say `both-ways: true`",
        "place": {"file": "policies/worker.yaml", "line": 12, "column": 11, "length": 12},
        "witness": "in tcp 192.168.7.71:40000 -> 192.168.7.2:9100",
        "entry": "node-metrics",
    }
    assert written["change"]["moves"][0]["risk"] == "protected"
    assert written["change"]["moves"][4]["place"] is None
    assert written["change"]["entries"][1] == {
        "role": "bypass",
        "name": "tunnels",
        "turn": "renamed",
        "meansTheSame": True,
        "was": "overlay",
    }
    assert [entry["name"] for entry in written["entries"]] == ["node-metrics", "vxlan", "service-network"]
    assert len(json.loads(json_report(large_change(500)))["change"]["moves"]) == 500


def test_what_is_not_there_is_null() -> None:
    assert json.loads(json_report(passed()))["change"] is None
    assert json.loads(json_report(mistaken()))["policy"] is None
    assert json.loads(json_report(no_change()))["change"]["moves"] == []
    assert json.loads(json_report(changed()))["change"]["unread"] is None
    assert json.loads(json_report(unread_base()))["change"]["unread"] == "old.yaml:3:1: a policy has no `name`"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\x7f", '"\\u007f"\n'),
        ("\U0001f600", '"\\ud83d\\ude00"\n'),
        ("a\udc80b", '"a\\ufffdb"\n'),
        ("\n", '"\\n"\n'),
    ],
)
def test_json_is_ascii_and_whole_unicode(text: str, written: str) -> None:
    assert json_text(text) == written


def test_a_file_whose_name_is_no_text_spoils_nothing() -> None:
    assert json.loads(json_report(replace(passed(), files=("p\udcff.yaml",))))["files"] == ["p\ufffd.yaml"]
