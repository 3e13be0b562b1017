"""The top of the page: whether it is passed, what was compared with what, and the numbers."""

from __future__ import annotations

from collections import Counter
from typing import Final

from ctpolicy.review.reports.page.markup import Markup, element, shortened, together
from ctpolicy.review.reports.page.parts import code
from ctpolicy.review.reports.page.words import counted, number_text
from ctpolicy.review.review import Direction, Result, Review, Risk

MOST_FILES: Final = 20


def verdict(review: Review) -> Markup:
    """The header of the page."""
    kind = "passed" if review.is_passed else "broken"
    return element(
        "header",
        element("p", "ctpolicy review", class_="brand"),
        element("h1", element("span", verdict_word(review), class_=f"verdict {kind}"), " ", title(review)),
        element("p", _compared(review), class_="compared"),
        _numbers(review),
        class_=kind,
    )


def verdict_word(review: Review) -> str:
    """The verdict in one word."""
    return "Passed" if review.is_passed else "Broken"


def title(review: Review) -> str:
    """What is reviewed: the policy's name, or the first file's."""
    return review.policy or ", ".join(review.files[:1]) or "a policy"


def _compared(review: Review) -> Markup:
    files = [shortened(name, 200) for name in review.files[:MOST_FILES]]
    more = f" and {counted(len(review.files) - MOST_FILES, 'more file')}" if len(review.files) > MOST_FILES else ""
    listed = together(part for name in files for part in (code(name), " "))
    if review.change is None:
        return together([listed, more, "compared with nothing: no base was given"])
    return together([listed, more, "compared with ", code(review.change.base)])


def _numbers(review: Review) -> Markup:
    results = Counter(check.result for check in review.checks)
    broken = results[Result.BROKEN]
    shown = [
        ("checks held", results[Result.HELD], "held" if results[Result.HELD] else ""),
        ("broken", broken, "broken" if broken else ""),
        ("waived", results[Result.WAIVED], "waived" if results[Result.WAIVED] else ""),
        ("not asked", results[Result.NOT_ASKED], ""),
        *_numbers_of_change(review),
    ]
    return element("ul", *(_tile(*tile) for tile in shown), class_="numbers", aria_label="In numbers")


def _numbers_of_change(review: Review) -> list[tuple[str, int, str]]:
    if review.change is None or review.change.unread or review.change.is_too_large:
        return []
    moves = review.change.moves
    by_direction = Counter(move.direction for move in moves)
    risky = sum(move.risk is not Risk.ORDINARY for move in moves)
    return [
        ("boxes newly untracked", by_direction[Direction.UNTRACKED], "untracked"),
        ("boxes tracked again", by_direction[Direction.TRACKED], "tracked"),
        ("of these at risk", risky, "broken" if risky else ""),
    ]


def _tile(words: str, number: int, kind: str) -> Markup:
    figure = element("strong", number_text(number))
    return element("li", figure, " ", element("span", words), class_=kind or None)
