"""A review for a comment on a pull request, in the Markdown of GitHub and GitLab.

What a reviewer reads first comes first: the verdict, what changes for packets by risk, what is broken. The rest is
collapsed. A comment has a bound (65,536 characters at GitHub), so each section has a share of it, and what a section
leaves others may take; where something is cut, a sentence says how much, and which report has it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Final, TypeVar

from ctpolicy.review.reports.markdown_text import code, prose, row
from ctpolicy.review.review import Change, Check, EntrySummary, EntryTurn, Move, Remark, Result, Review

T = TypeVar("T")

LONGEST_COMMENT: Final = 65_536
"""Characters of a comment that GitHub takes (it counts those outside of the basic plane once; we count them twice)."""

MARK: Final = "<!-- ctpolicy review -->"
"""The first line, which nobody sees: by it a program finds the comment that it wrote before."""

MOST_FILES: Final = 10
MOST_REASONS: Final = 10
MOST_ROWS: Final = 1_000
"""Rows of one kind that are written at all: no comment has room for more."""

MOST_BOXES: Final = 3
"""Boxes of one entry and path that are shown."""

_FIXED: Final = 1_200
"""Kept free for the sentences that say what was cut, and blank lines."""


@dataclass(frozen=True, slots=True)
class _Row:
    """Lines that are shown together or not at all, and how many things they tell; a heading tells none."""

    text: str
    tells: int = 1


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the comment.

    Args:
        share: of the comment that it may take in any case, in percent.
        head: lines before the rows.
        rows: what may be cut, from the last.
        tail: lines after them.
        unwritten: how many rows more there would be, if they could fit.
    """

    share: int
    head: str
    rows: Sequence[_Row] = ()
    tail: str = ""
    unwritten: int = 0


def markdown_report(review: Review, longest: int = LONGEST_COMMENT) -> str:
    """A review as a comment of at most so many characters; there must be room for a few thousand."""
    sections = [_Section(0, _verdict(review)), *_sections(review)]
    fixed = _FIXED + sum(_length(section.head) + _length(section.tail) for section in sections)
    room = _rooms(sections, longest - fixed)
    return "\n\n".join(_written(section, most) for section, most in zip(sections, room, strict=True)) + "\n"


def _rooms(sections: Sequence[_Section], room: int) -> list[int]:
    """Characters for the rows of each: its share at least, and of what is left what it needs, in their order."""
    needs = [sum(_length(row.text) + 1 for row in section.rows) for section in sections]
    rooms = [min(need, room * section.share // 100) for need, section in zip(needs, sections, strict=True)]
    for index, need in enumerate(needs):
        rooms[index] += min(need - rooms[index], room - sum(rooms))
    return rooms


def _written(section: _Section, room: int) -> str:
    kept = list(_kept(section.rows, room))
    left = sum(row.tells for row in section.rows[len(kept) :]) + section.unwritten
    while kept and left and not kept[-1].tells:
        kept.pop()  # a heading of nothing
    more = f"\n… and {left:,} more, which `ctpolicy review --format json` tells." if left else ""
    return "\n".join([section.head, *(row.text for row in kept), *filter(None, [more, section.tail])])


def _kept(rows: Iterable[_Row], room: int) -> Iterator[_Row]:
    for one in rows:
        room -= _length(one.text) + 1
        if room < 0:
            return
        yield one


def _length(text: str) -> int:
    """In units of UTF-16, the most that any forge counts."""
    return len(text.encode("utf-16-le")) // 2


def _verdict(review: Review) -> str:
    counts = Counter(check.result for check in review.checks)
    heading = f"{MARK}\n## ctpolicy review: {'passed' if review.is_passed else 'not passed'}"
    told = [f"{counts[result]} {result.value}" for result in Result if counts[result]]
    files = ", ".join(map(code, review.files[:MOST_FILES])) + (" and others" if len(review.files) > MOST_FILES else "")
    what = f"Policy {code(review.policy)} of {files}" if review.policy else f"Policies {files}"
    base = f", compared with {prose(review.change.base)}" if review.change else ""
    lines = [heading, "", f"{what}{base}. Checks: {', '.join(told) or 'none'}."]
    unasked = islice(_unasked(review), MOST_REASONS)
    return "\n\n".join(["\n".join(lines), *unasked])


def _unasked(review: Review) -> Iterator[str]:
    """What was not asked, by the reason."""
    subjects: dict[str, list[str]] = defaultdict(list)
    for check in review.checks:
        if check.result is Result.NOT_ASKED:
            subjects[prose(check.told)].append(check.subject.value.lower())
    for told, about in subjects.items():
        yield f"Not asked: {', '.join(dict.fromkeys(about))} ({told})."


def _sections(review: Review) -> Iterator[_Section]:
    if review.change is not None:
        yield _change(review.change)
    yield from _remarks(35, "### Broken", review, Result.BROKEN)
    yield from _remarks(8, "### Waived", review, Result.WAIVED)
    yield from _remarks(5, "### To be known", review, Result.HELD)
    if review.change is not None and review.change.entries:
        yield _collapsed(5, "Entries whose text differs", "", review.change.entries, _turn)
    if review.checks:
        yield _collapsed(6, "What was asked", _table("About", "Question", "Result", "Told"), review.checks, _check)
    if review.entries:
        heads = _table("Entry", "Kind", "Catches", "Described", "Where")
        yield _collapsed(6, "Entries", heads, review.entries, _entry)


def _collapsed(share: int, title: str, head: str, told: Sequence[T], write: Callable[[T], str]) -> _Section:
    lines = ["<details>", f"<summary>{title}: {len(told):,}</summary>", ""]
    rows = [_Row(write(one)) for one in told[:MOST_ROWS]]
    return _Section(share, "\n".join(lines + ([head] if head else [])), rows, "\n</details>", len(told) - len(rows))


def _table(*names: str) -> str:
    return row(*names) + "\n" + row(*["---"] * len(names))


def _change(change: Change) -> _Section:
    heading = "### What changes for packets\n\n"
    if change.unread:
        return _Section(0, f"{heading}This cannot be told: {prose(change.unread)}")
    if change.is_too_large:
        return _Section(0, f"{heading}Too much to tell it exactly: see the entries whose text differs.")
    if not change.moves:
        return _Section(0, f"{heading}No packet changes.")
    counts = Counter(move.direction.words for move in change.moves)
    told = ", ".join(f"{count:,} {words}" for words, count in counts.items())
    part = "" if change.is_complete else ". There is more that changes than is told here"
    rows = list(_moves(change.moves[:MOST_ROWS]))
    return _Section(35, f"{heading}Boxes of packets: {told}{part}.", rows, "", max(0, len(change.moves) - MOST_ROWS))


def _moves(moves: Iterable[Move]) -> Iterator[_Row]:
    for risk, group in groupby(moves, key=lambda move: move.risk):
        table = _table("", "Packets", "Size", "Entry", "Why", "Such as")
        yield _Row(f"\n**{risk.words.capitalize() or 'Otherwise'}**\n\n{table}", 0)
        yield from (_Row(_move(move)) for move in group)


def _move(move: Move) -> str:
    at = f"<br>{code(str(move.place))}" if move.place else ""
    sign, entry = code(move.direction.value), f"{prose(move.role)} {code(move.entry)}{at}"
    return row(sign, code(move.packets), prose(move.size), entry, prose(move.why), code(str(move.witness)))


def _remarks(share: int, heading: str, review: Review, result: Result) -> Iterator[_Section]:
    """Checks of which this came, with what is said of them; of those that held, only where something is said."""
    rows: list[_Row] = []
    unwritten = 0
    for check in review.checks:
        if check.result is result and (check.remarks or result is not Result.HELD):
            rows.append(_Row(_headed(check), 0 if check.remarks else 1))
            rows += [_Row(_remark(remark)) for remark in check.remarks[:MOST_ROWS]]
            unwritten += len(check.remarks[MOST_ROWS:])
    if rows:
        yield _Section(share, f"{heading}\n", rows, "", unwritten)


def _headed(check: Check) -> str:
    told = f": {prose(check.told)}" if check.told else ""
    return f"- **{check.subject.value}**: {code(check.name)}{told}"


def _remark(remark: Remark) -> str:
    at = f" at {code(str(remark.place))}" if remark.place else ""
    lines = [f"  - {remark.level.value} {remark.code}{at}: {prose(remark.message)}"]
    lines += [f"    - entry: {code(remark.entry)}"] if remark.entry and remark.entry not in remark.message else []
    lines += [f"    - such as {code(str(remark.witness))}"] if remark.witness else []
    lines += [f"    - remedy: {prose(remark.remedy)}"] if remark.remedy else []
    return "\n".join(lines)


def _turn(turn: EntryTurn) -> str:
    was = f", was {code(turn.was)}" if turn.was else ""
    same = ", covers the same packets" if turn.means_the_same else ""
    return f"- {code(turn.turn.value)} {turn.turn.name.lower()}: {prose(turn.role)} {code(turn.name)}{was}{same}"


def _check(check: Check) -> str:
    return row(check.subject.value, code(check.name), check.result.value, prose(check.told))


def _entry(entry: EntrySummary) -> str:
    caught = "<br>".join(f"{prose(one.path)}: {_boxes(one.packets)}" for one in entry.covers) or prose("")
    said = [prose(entry.description)] if entry.description else []
    said += [] if entry.acknowledge is None else [f"acknowledged: {prose(entry.acknowledge)}"]
    described, at = "<br>".join(said) or prose(""), code(str(entry.place or ""))
    return row(f"{prose(entry.role)} {code(entry.name)}", prose(entry.kind), caught, described, at)


def _boxes(packets: Sequence[str]) -> str:
    more = f" and {len(packets) - MOST_BOXES:,} more" if len(packets) > MOST_BOXES else ""
    return ", ".join(map(code, packets[:MOST_BOXES])) + more
