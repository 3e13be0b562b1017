"""The change since the base: every move as a card with its box, the first risk first; then the entries as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from ctpolicy.review.reports.page.markup import NOTHING, Markup, element, shortened, together
from ctpolicy.review.reports.page.parts import badge, code, place_text, section, table, witness_line
from ctpolicy.review.reports.page.picture_of_change import box_picture
from ctpolicy.review.reports.page.words import counted
from ctpolicy.review.review import Change, Direction, EntryTurn, Move, Review, Risk, Turn

MOST_CARDS: Final = 40
"""Moves that are drawn; after these they are lines of a table."""

MOST_LINES: Final = 300
"""Of that table, and of entries."""

_TURNS: Final = {Turn.ADDED: "new", Turn.CHANGED: "changed", Turn.REMOVED: "gone", Turn.RENAMED: "renamed"}


def change_section(review: Review) -> Markup:
    """What changes for traffic, and which entries changed."""
    if review.change is None:
        return section("change", "What changes", element("p", "No base was given: nothing to compare with."))
    return section("change", "What changes", *_told(review.change), _turns(review.change.entries))


def _told(change: Change) -> Iterator[Markup]:
    if change.unread:
        yield element("p", "Not compared: ", change.unread, class_="notice")
        return
    if change.is_too_large:
        words = "The comparison was given up: too many different packets to tell exactly. See the entries below."
        yield element("p", words, class_="notice")
    elif not change.moves:
        yield element("p", "No packet changes: what is tracked stays so, and so does what is not.", class_="lead")
    if change.moves:
        yield _legend()
        yield from _cards(change.moves[:MOST_CARDS])
        yield _further(change.moves[MOST_CARDS:])
    if not change.is_complete and not change.is_too_large:
        yield element("p", "More packets change than are told here.", class_="notice")


def _legend() -> Markup:
    return element(
        "p",
        *(element("span", _sign(direction), " ", direction.words) for direction in Direction),
        element(
            "span",
            "Each axis has all values of a field, those of the box filled; where they are pieces of a small part, ",
            "that part is drawn again below. A thin line is what the entry covers besides. The bar on the right tells ",
            "how many values the box has, each step twice as many.",
        ),
        class_="legend",
    )


def _sign(direction: Direction) -> Markup:
    kind = "untracked" if direction is Direction.UNTRACKED else "tracked"
    return element(
        "span", "+" if direction is Direction.UNTRACKED else "\N{MINUS SIGN}", class_=f"sign {kind}", aria_hidden="true"
    )


def _cards(moves: Sequence[Move]) -> Iterator[Markup]:
    numbered = list(enumerate(moves, 1))
    for risk, group in groupby(numbered, key=lambda pair: pair[1].risk):
        cards = [_card(move, at) for at, move in group]
        yield element("h3", _risk_words(risk), class_="risk-title")
        yield together(cards)


def _risk_words(risk: Risk) -> str:
    return risk.words.capitalize() if risk.words else "Other traffic"


def _card(move: Move, at: int) -> Markup:
    kind = "untracked" if move.direction is Direction.UNTRACKED else "tracked"
    risk = badge(move.risk.words, "risk") if move.risk.words else None
    heading = element("h4", _sign(move.direction), " ", move.direction.words, " ", risk, id=f"move-{at}")
    words = element(
        "div",
        heading,
        element("p", code(shortened(move.packets, 400)), class_="packets"),
        element("p", move.size, class_="size"),
        element("p", f"{move.role} ", code(move.entry), f": {move.why}", class_="why"),
        witness_line(move.witness),
        element("p", place_text(move.place), class_="where-from") if move.place else None,
        class_="told",
    )
    picture = box_picture(move.box, move.around, move.direction)
    return element("article", words, picture, class_=f"move {kind}", aria_labelledby=f"move-{at}")


def _further(moves: Sequence[Move]) -> Markup:
    if not moves:
        return NOTHING
    columns = ("Change", "Entry", "Packets", "Size", "Why", "Such as")
    left = len(moves) - MOST_LINES
    return together(
        [
            element("h3", f"Further changes: {len(moves):,}"),
            table("Further changes", columns, map(_line, moves[:MOST_LINES]), "moves"),
            element("p", f"{counted(left, 'more change')}: JSON has all of them.", class_="left-out")
            if left > 0
            else None,
        ]
    )


def _line(move: Move) -> Markup:
    risk = together([" ", badge(move.risk.words, "risk")]) if move.risk.words else None
    return element(
        "tr",
        element("td", _sign(move.direction), " ", move.direction.words, risk, data_key=move.risk),
        element("th", code(move.entry), scope="row"),
        element("td", code(shortened(move.packets, 200))),
        element("td", move.size),
        element("td", move.why),
        element("td", code(str(move.witness))),
    )


def _turns(turns: Sequence[EntryTurn]) -> Markup:
    if not turns:
        return NOTHING
    left = len(turns) - MOST_LINES
    return together(
        [
            element("h3", f"Entries whose text differs: {len(turns):,}"),
            table(
                "Entries whose text differs",
                ("Entry", "Role", "Turn", "Packets"),
                map(_turn, turns[:MOST_LINES]),
                "turns",
            ),
            element("p", f"{counted(left, 'more entry', 'more entries')}: JSON has all of them.", class_="left-out")
            if left > 0
            else None,
        ]
    )


def _turn(turn: EntryTurn) -> Markup:
    was = together([", was ", code(turn.was)]) if turn.was else None
    return element(
        "tr",
        element("th", code(turn.name), scope="row"),
        element("td", turn.role),
        element("td", badge(f"{turn.turn.value} {_TURNS[turn.turn]}", "turn"), was),
        element("td", "the same as before" if turn.means_the_same else "others than before"),
    )
