"""The page of a review, as text: whole, escaped, bounded, and with nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings

from ctpolicy.review.reports.html import html_report
from ctpolicy.review.review import Change, EntryTurn, Review, Turn
from review.any_reviews import HOSTILE, hostile, reviews
from review.html.outline import Outline, html_faults
from review.html.sizes import entries, large, middle
from review.reviews import REVIEWS, everything, large_change, too_large, unread_base


def spaceless(text: str) -> str:
    """Without blanks, which a mark in a line leaves elsewhere."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", REVIEWS)
def test_every_review_has_a_whole_page(name: str) -> None:
    assert html_faults(html_report(REVIEWS[name]())) == []


@settings(max_examples=10)
@given(reviews())
def test_any_review_has_a_whole_page(review: Review) -> None:
    page = html_report(review)
    assert html_faults(page) == []
    assert all(character == "\n" or character.isprintable() for character in page)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_makes_no_element(text: str) -> None:
    assert html_faults(html_report(hostile(text))) == []


@pytest.mark.parametrize(
    "broken",
    [
        "<p>",
        "</main>",
        "<script></script>",
        "<img>",
        "<p onclick=''></p>",
        "<p style=''></p>",
        "<a href='https://x'></a>",
    ],
)
def test_what_is_broken_or_from_elsewhere_is_found(broken: str) -> None:
    assert html_faults(html_report(everything()).replace("<footer>", f"{broken}<footer>")) != []


def test_nothing_that_a_terminal_or_a_reader_obeys_is_left() -> None:
    page = html_report(hostile("right to left \u202e override \x1b[31m"))
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_page_names_no_address_on_any_network() -> None:
    page = html_report(middle())
    assert re.findall(r"(?:https?:)?//[a-z]", page.partition("<script>")[0]) == []


def test_all_that_a_review_says_is_on_the_page() -> None:
    review = everything()
    text = Outline(html_report(review)).text
    said = [remark for check in review.checks for remark in check.remarks]
    words = [review.policy, *review.files, *(check.name for check in review.checks)]
    words += [part for remark in said for part in (remark.message, remark.remedy, str(remark.place or ""), remark.code)]
    words += [str(remark.witness) for remark in said if remark.witness]
    words += [check.told for check in review.checks]
    for entry in review.entries:
        words += [entry.name, entry.kind, entry.description, entry.acknowledge or "", str(entry.place)]
        words += [packets for covered in entry.covers for packets in covered.packets]
    assert review.change is not None
    for move in review.change.moves:
        words += [
            move.entry,
            move.why,
            move.packets,
            move.size,
            str(move.witness),
            move.direction.words,
            move.risk.words,
        ]
    words += [turn.name for turn in review.change.entries] + [review.change.base]
    assert [word for word in words if spaceless(word) not in spaceless(text)] == []


@pytest.mark.parametrize(("review", "most"), [(large(), 1_500_000), (large_change(10_000), 1_500_000)])
def test_ten_thousand_entries_make_a_page_that_can_be_sent(review: Review, most: int) -> None:
    page = html_report(review)
    assert 100_000 < len(page.encode()) < most
    text = Outline(page).text
    assert "9,660 more changes: JSON has all of them." in text
    assert "9,700 more entries: JSON has all of them." in text
    assert "9,900 more entries not drawn" in text
    assert "9,500 more entries not listed" in text


def test_long_texts_of_many_entries_are_bounded() -> None:
    review = hostile("x" * 20_000)
    assert len(html_report(review)) < 600_000


def test_entries_that_are_spoken_of_come_before_others() -> None:
    listed = entries(1200)
    names = [one.name for one in listed]
    turns = tuple(EntryTurn("bypass", name, Turn.CHANGED) for name in names[-3:])
    review = replace(everything(), entries=listed, change=Change("files old.yaml", (), turns))
    text = Outline(html_report(review)).text
    drawn = text.partition("The way of a packet")[2]
    assert all(drawn.count(name) >= 3 for name in names[-3:])  # drawn (with a title) and listed
    assert names[600] not in text


def test_why_nothing_was_compared_is_told() -> None:
    assert "Not compared: old.yaml:3:1: a policy has no `name`" in Outline(html_report(unread_base())).text
    assert "The comparison was given up" in Outline(html_report(too_large())).text
    assert "No base was given" in Outline(html_report(REVIEWS["passed"]())).text
    assert "No packet changes" in Outline(html_report(REVIEWS["no-change"]())).text
    assert "More packets change than are told here." in Outline(html_report(large())).text


def test_the_same_review_makes_the_same_page() -> None:
    assert html_report(everything()) == html_report(everything())
