"""The page of a review, as text: whole, escaped, bounded, and with nothing from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import given, settings

from ctpolicy.review.reports.html import html_report
from ctpolicy.review.review import Change, EntryTurn, Review, Turn
from review.any_reviews import HOSTILE, hostile, reviews
from review.html.sizes import entries, large, middle
from review.reviews import REVIEWS, everything, large_change, too_large, unread_base

VOID: Final = {"br", "meta"}


class Outline(HTMLParser):
    """A page's elements, each closed where it should be, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def is_whole(page: str) -> bool:
    """Whether every element is closed, and there is one of what there must be one of."""
    outline = Outline(page)
    return (
        outline.faults == []
        and outline.open == []
        and all(outline.tags.count(tag) == 1 for tag in ("html", "script", "h1"))
    )


def spaceless(text: str) -> str:
    """Without blanks, which a mark in a line leaves elsewhere."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("name", REVIEWS)
def test_every_review_has_a_whole_page(name: str) -> None:
    assert is_whole(html_report(REVIEWS[name]()))


@settings(max_examples=10)
@given(reviews())
def test_any_review_has_a_whole_page(review: Review) -> None:
    page = html_report(review)
    assert is_whole(page)
    assert not re.search(r"[^\n -~\xa0-\U0010ffff]", page)
    page.encode("utf-8")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_makes_no_element(text: str) -> None:
    outline = Outline(html_report(hostile(text)))
    assert outline.faults == []
    assert outline.tags.count("script") == 1
    assert not {"img", "iframe", "object", "link", "form", "input", "b"} & set(outline.tags)
    assert not [name for name, _ in outline.attributes if name.startswith("on") or name in {"style", "src"}]
    assert [value for name, value in outline.attributes if name == "href" and not value.startswith("#")] == []


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
