"""Annotations of lines: where they are, how bad, and that they stay the same when lines move."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ctpolicy.language.diagnostics import Place
from ctpolicy.review.codes import RULES
from ctpolicy.review.reports.sarif import MOST_RESULTS, sarif_report
from ctpolicy.review.review import Check, Level, Remark, Result, Review, Subject
from review.reports.published import sarif_faults
from review.reviews import CHANGE, FILES, changed, everything, large_change, mistaken, no_change, passed, waived


def run_of(review: Review) -> dict[str, Any]:
    log = json.loads(sarif_report(review))
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def results(review: Review) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run_of(review)["results"]
    return found


def one(*remarks: Remark, result: Result = Result.BROKEN) -> Review:
    """A review with one check, of which this is said."""
    return replace(passed(), checks=(Check(Subject.LINTS, "asked", result, "told", remarks),))


def at(place: Place | None, message: str = "said", level: Level = Level.ERROR) -> Remark:
    return Remark("RV001", level, message, place)


def test_the_rules_are_those_of_the_codes() -> None:
    rules = run_of(passed())["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.code for rule in RULES]
    assert all(rule["help"]["text"] for rule in rules)
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in results(everything()))


def test_a_result_has_its_span_counted_in_characters() -> None:
    assert run_of(passed())["columnKind"] == "unicodeCodePoints"
    (result,) = results(one(at(Place("a b/p.yaml", 9, 14, 5, "    - tcp/70000"))))
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "a%20b/p.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 9, "startColumn": 14, "endColumn": 19},
            }
        }
    ]


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("./p.yaml", "p.yaml"),
        ("a/../p.yaml", "p.yaml"),
        ("../p.yaml", "../p.yaml"),
        ("a:b.yaml", "a%3Ab.yaml"),
        ("ü.yaml", "%C3%BC.yaml"),
        ("/etc/p.yaml", "file:///etc/p.yaml"),
        ("//etc/p.yaml", "file:///etc/p.yaml"),
        ("p.yaml?a#b", "p.yaml%3Fa%23b"),
        ("http://evil.example/p.yaml", "http%3A/evil.example/p.yaml"),
    ],
)
def test_a_file_is_named_from_where_ctpolicy_was_run(file: str, uri: str) -> None:
    (result,) = results(one(at(Place(file, 1, 1))))
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact["uri"] == uri
    assert ("uriBaseId" in artifact) is not uri.startswith("file:")


def test_every_result_has_exactly_one_location() -> None:
    for review in (everything(), mistaken(), changed(), large_change(100)):
        assert all(len(result["locations"]) == 1 for result in results(review))


def test_what_is_of_no_line_is_at_the_first() -> None:
    whole, nowhere = results(one(at(Place("site.yaml"), "a"), at(None, "b")))
    assert whole["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}
    assert nowhere["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == FILES[0]


def test_errors_come_first_then_warnings_then_notes() -> None:
    levels = [result["level"] for result in results(everything())]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert set(levels) == {"error", "warning", "note"}


def test_only_what_is_waived_is_suppressed_and_says_why() -> None:
    suppressed = [result for result in results(waived()) if "suppressions" in result]
    assert [result["message"]["text"].split("\n")[0] for result in suppressed] == ["there are 213 entries"]
    assert suppressed[0]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "waived by network-team until 2027-01-31: the old cluster goes away",
        }
    ]
    assert not [result for result in results(mistaken()) if "suppressions" in result]


def test_what_is_waived_is_a_note_because_a_forge_may_not_read_suppressions() -> None:
    waiver = Remark("RV004", Level.WARNING, "the waiver waives nothing", Place("inv.yaml", 2, 1))
    said, of_waiver = sorted(
        results(one(at(None), waiver, result=Result.WAIVED)), key=lambda result: str(result["ruleId"])
    )
    assert (said["level"], "suppressions" in said) == ("note", True)
    assert (of_waiver["level"], "suppressions" in of_waiver) == ("warning", False)


def test_a_waived_check_of_which_nothing_else_is_said_is_a_suppressed_result() -> None:
    waiver = Remark("RV004", Level.NOTE, "another waiver waives nothing", Place("inv.yaml", 2, 1))
    for review in (one(result=Result.WAIVED), one(waiver, result=Result.WAIVED)):
        (suppressed,) = [result for result in results(review) if "suppressions" in result]
        assert (suppressed["ruleId"], suppressed["message"]["text"]) == ("RV003", "asked: told")


def test_moves_are_notes_at_their_entries() -> None:
    told = results(changed())
    assert [result["ruleId"] for result in told] == ["RV008", "RV008", "RV009", "RV008", "RV009"]
    assert {result["level"] for result in told} == {"note"}
    first = told[0]
    assert first["message"]["text"] == (
        "newly untracked (protected traffic): in tcp 10.0.0.0/8 -> any:22, 16,777,216 addresses, one port: "
        "node-metrics: it covers more than before\nsuch as: in tcp 10.9.9.9:5555 -> 192.168.7.71:22"
    )
    assert first["locations"][0]["physicalLocation"]["region"]["startLine"] == 12
    assert first["properties"]["risk"] == "protected"
    assert results(no_change()) == []


def fingerprints(review: Review) -> list[str]:
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results(review)]


def moved_down(place: Place | None, lines: int) -> Place | None:
    return place and replace(place, line=place.line + lines, column=place.column + 2, text=f"  {place.text}")


def test_fingerprints_stay_when_lines_move() -> None:
    review = everything()
    assert review.change is not None
    checks = tuple(
        replace(check, remarks=tuple(replace(one, place=moved_down(one.place, 7)) for one in check.remarks))
        for check in review.checks
    )
    moves = tuple(replace(move, place=moved_down(move.place, 7)) for move in review.change.moves)
    moved = replace(review, checks=checks, change=replace(CHANGE, moves=moves))
    assert results(moved) != results(review)
    assert fingerprints(moved) == fingerprints(review)


def test_fingerprints_tell_results_apart() -> None:
    for review in (everything(), large_change(300)):
        assert len(set(fingerprints(review))) == len(results(review))
    twice = results(one(at(Place("p", 1, 1)), at(Place("p", 2, 1))))
    first, second = (result["partialFingerprints"]["ctpolicy/v1"] for result in twice)
    assert first.removesuffix(":1") == second.removesuffix(":2")


def test_nothing_in_a_message_is_a_link_or_a_placeholder() -> None:
    (result,) = results(one(at(None, "[a](https://evil.example) {0} [fd00::1]:22\x1b")))
    assert result["message"]["text"] == "[a\\](https://evil.example) {{0}} [fd00::1]:22␛"


def test_no_more_results_than_a_forge_takes_the_worst_first() -> None:
    review = large_change(MOST_RESULTS)
    run = run_of(review)
    assert len(run["results"]) == MOST_RESULTS
    assert run["results"][0]["level"] == "error"
    told = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    said = sum(len(check.remarks) for check in review.checks)
    assert f"{said} results more are left out; the JSON report has all of them" in told


def test_a_question_that_was_not_asked_is_a_notification() -> None:
    (note,) = run_of(everything())["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].endswith(": no scratch namespace can be had")


def test_a_fault_is_found() -> None:
    log = json.loads(sarif_report(everything()))
    log["runs"][0]["results"][0]["level"] = "terrible"
    assert sarif_faults(json.dumps(log))
    del log["runs"][0]["tool"]
    assert len(sarif_faults(json.dumps(log))) == 2
