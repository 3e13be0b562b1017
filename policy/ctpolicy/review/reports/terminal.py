"""A review as lines for a terminal: what changes, what is broken, what was waived, and what was asked at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from ctpolicy.language.diagnostics import Diagnostic, Place, render
from ctpolicy.review.review import Change, Check, EntryTurn, Level, Move, Remark, Result, Review, Risk, Subject, Turn

MOST_MOVES: Final = 100
"""Moves that are shown; the other formats have all of them."""

MOST_ENTRIES: Final = 40

_SIGNS: Final = {turn: "~" if turn is Turn.RENAMED else turn.value for turn in Turn}


def terminal(review: Review) -> Iterator[str]:
    """The lines of a review, without what a terminal obeys made harmless: whoever prints them does that."""
    yield f"Review of {', '.join(review.files)}{_named(review)}"
    if review.change is not None:
        yield from _change(review.change)
    yield from _checks("Broken", review, Result.BROKEN)
    yield from _noted(review)
    yield from _checks("Waived", review, Result.WAIVED)
    yield from _held(review)
    yield ""
    yield _verdict(review)


def _named(review: Review) -> str:
    if not review.policy:
        return ""
    counts = Counter(entry.role for entry in review.entries)
    return f": {review.policy}, {counts['bypass']} bypass and {counts['track']} track"


def _change(change: Change) -> Iterator[str]:
    yield f"compared with {change.base}"
    yield ""
    if change.unread:
        yield f"What changes cannot be told: {change.unread}"
        return
    if change.is_too_large:
        yield "What changes for packets is too much to tell exactly: see the entries."
    elif not change.moves:
        yield "No packet changes."
    for risk, moves in groupby(change.moves[:MOST_MOVES], key=lambda move: move.risk):
        yield f"Packets that change: {risk.words}" if risk is not Risk.ORDINARY else "Packets that change"
        for _, alike in groupby(moves, key=lambda move: (move.direction, move.role, move.entry, move.why)):
            yield from _moves(list(alike))
    if len(change.moves) > MOST_MOVES or not change.is_complete:
        yield "  ... and more"
    yield from _turns(change.entries)


def _moves(alike: list[Move]) -> Iterator[str]:
    """Moves because of one entry, with one packet for all of them: the boxes of a flow's two directions are alike."""
    first = alike[0]
    yield f"  {first.direction.words}, {first.role} {first.entry}: {first.why}{_at(first.place)}"
    yield from (f"    {move.direction.value} {move.packets}  ({move.size})" for move in alike)
    yield f"      such as {first.witness}"


def _at(place: Place | None) -> str:
    return f" ({place})" if place else ""


def _turns(turns: tuple[EntryTurn, ...]) -> Iterator[str]:
    if turns:
        yield "Entries"
    for turn in turns[:MOST_ENTRIES]:
        was = f", was {turn.was}" if turn.was else ""
        same = ", covers the same packets" if turn.means_the_same and turn.turn is Turn.CHANGED else ""
        yield f"  {_SIGNS[turn.turn]} {turn.role} {turn.name}{was}{same}"
    if len(turns) > MOST_ENTRIES:
        yield f"  ... and {len(turns) - MOST_ENTRIES} more"


def _checks(title: str, review: Review, result: Result) -> Iterator[str]:
    checks = [check for check in review.checks if check.result is result]
    if not checks:
        return
    yield ""
    yield title
    for check in checks:
        yield f"  {check.subject.value}: {check.name}{f': {check.told}' if check.told else ''}"
        for remark in check.remarks:
            yield from _remark(remark)


def _noted(review: Review) -> Iterator[str]:
    """Notes of what held all the same."""
    notes = [remark for check in review.checks if check.result is Result.HELD for remark in check.remarks]
    if notes:
        yield ""
        yield "To be known"
    for remark in notes:
        yield from _remark(remark)


def _remark(remark: Remark) -> Iterator[str]:
    message = f"{remark.level.value} {remark.code}: {remark.message}"
    lines = render(Diagnostic(remark.place, message)).split("\n") if remark.place else [message]
    yield from (f"    {line}" for line in lines)
    if remark.witness is not None:
        yield f"      such as {remark.witness}"
    if remark.remedy:
        yield f"      {remark.remedy}"


def _held(review: Review) -> Iterator[str]:
    held = [check for check in review.checks if check.result is Result.HELD]
    asked = [f"{subject.value.lower()} ({_told(checks)})" for subject, checks in _by_subject(held)]
    if asked:
        yield ""
        yield f"Held: {', '.join(asked)}"
    for check in review.checks:
        if check.result is Result.NOT_ASKED:
            yield f"Not asked: {check.subject.value.lower()}, {check.name}: {check.told}"


def _by_subject(checks: Iterable[Check]) -> Iterator[tuple[Subject, list[Check]]]:
    for subject, several in groupby(checks, key=lambda check: check.subject):
        yield subject, list(several)


def _told(checks: list[Check]) -> str:
    """How many, and how the only one was answered."""
    return checks[0].told if len(checks) == 1 and checks[0].told else f"{len(checks)}"


def _verdict(review: Review) -> str:
    broken = (check for check in review.checks if check.result is Result.BROKEN)
    levels = Counter(remark.level for check in broken for remark in check.remarks)
    found = [_count(levels[level], level.value) for level in (Level.ERROR, Level.WARNING) if levels[level]]
    if review.is_passed:
        return "Passed."
    return f"Not passed: {' and '.join(found)}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
