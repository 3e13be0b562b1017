"""A review on a terminal: what matters first, and nothing that a terminal obeys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctpolicy.cli.output import print_lines
from ctpolicy.review.reports.terminal import terminal
from ctpolicy.review.review import Change, Check, Level, Remark, Result, Review, Subject
from review.any_reviews import HOSTILE, hostile
from review.reviews import REVIEWS, broken, changed, large_change, no_change, not_asked, passed, unread_base, waived


def told(review: Review) -> list[str]:
    return list(terminal(review))


def test_the_verdict_comes_last_where_the_prompt_is() -> None:
    assert told(passed())[-1] == "Passed."
    assert told(waived())[-1] == "Passed."
    assert told(broken())[-1].startswith("Not passed: ")


@pytest.mark.parametrize("name", REVIEWS)
def test_every_broken_check_and_every_remark_of_it_is_there(name: str) -> None:
    review = REVIEWS[name]()
    text = "\n".join(told(review))
    for check in review.checks:
        if check.result is Result.BROKEN:
            assert f"  {check.subject.value}: {check.name}" in text
            for remark in check.remarks:
                assert f"{remark.level.value} {remark.code}: {remark.message}" in text


def test_moves_of_one_entry_share_a_witness() -> None:
    review = changed()
    assert review.change is not None
    first = review.change.moves[0]
    twice = replace(review, change=replace(review.change, moves=(first, replace(first, packets="out, the same"))))
    lines = told(twice)
    assert lines.count(f"      such as {first.witness}") == 1
    assert f"    + out, the same  ({first.size})" in lines


def test_no_change_and_no_base_are_told_apart() -> None:
    assert "No packet changes." in told(no_change())
    assert "No packet changes." not in told(passed())
    assert any(line.startswith("What changes cannot be told: ") for line in told(unread_base()))


def test_what_was_not_asked_says_why() -> None:
    assert any(line.startswith("Not asked: ") and ": " in line[11:] for line in told(not_asked()))


def test_a_large_change_is_cut_and_says_so() -> None:
    lines = told(large_change())
    assert "  ... and more" in lines
    assert len(lines) < 1000


def test_waived_remarks_are_not_counted_as_errors() -> None:
    remark = Remark("RV003", Level.ERROR, "it is so")
    held = Check(Subject.INVARIANTS, "held", Result.WAIVED, "waived by somebody", (remark,))
    fault = Check(Subject.INVARIANTS, "broken", Result.BROKEN, remarks=(remark,))
    assert told(Review(("a",), checks=(held, fault)))[-1] == "Not passed: 1 error."


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_obeys_does_not_reach_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(terminal(hostile(text)))
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.split("\n"))


def test_an_incomplete_change_says_so() -> None:
    assert "  ... and more" in told(Review(("a",), change=Change("file b", is_complete=False)))
