"""What was asked and what came of it: first what is broken, in full; further down every check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from ctpolicy.review.codes import BY_CODE
from ctpolicy.review.reports.page.markup import NOTHING, Markup, element, together
from ctpolicy.review.reports.page.parts import badge, code, marked_line, place_text, section, table, witness_line
from ctpolicy.review.reports.page.words import counted
from ctpolicy.review.review import Check, Level, Remark, Result, Review

MOST_REMARKS: Final = 300
"""Of broken checks, and as many of the others: a page is for reading. JSON has all of them."""

MOST_CHECKS: Final = 500

_SIGNS: Final = {Result.HELD: "✓", Result.BROKEN: "✗", Result.WAIVED: "~", Result.NOT_ASKED: "○"}
_KINDS: Final = {Result.HELD: "held", Result.BROKEN: "broken", Result.WAIVED: "waived", Result.NOT_ASKED: "not-asked"}
_ORDER: Final = (Result.BROKEN, Result.WAIVED, Result.NOT_ASKED, Result.HELD)


def what_is_broken(review: Review) -> Markup:
    """The remarks of broken checks; nothing if none is broken."""
    broken = [check for check in review.checks if check.result is Result.BROKEN]
    if not broken:
        return NOTHING
    return section("broken", "What is broken", _remarks_by_check(broken))


def waivers(review: Review) -> Markup:
    """What is broken and somebody answers for; nothing if nothing is."""
    waived = [check for check in review.checks if check.result is Result.WAIVED]
    if not waived:
        return NOTHING
    lead = element("p", "Broken, and waived by somebody who is named, for a reason, until a day.", class_="lead")
    return section("waived", "Waived", lead, _remarks_by_check(waived))


def all_checks(review: Review) -> Markup:
    """Every check in a table, and below it what else was said of those that are not broken."""
    rows = map(_row, review.checks[:MOST_CHECKS])
    columns = ("Result", "About", "Check", "Answer", "Time")
    notes = [check for check in review.checks if check.remarks and check.result in (Result.HELD, Result.NOT_ASKED)]
    left = len(review.checks) - MOST_CHECKS
    return section(
        "checks",
        "Checks",
        table("Checks and what came of them", columns, rows, "checks") if review.checks else element("p", "None."),
        _left_out(left, "check", "JSON has all of them") if left > 0 else None,
        _notes(notes),
    )


def _notes(checks: Sequence[Check]) -> Markup:
    if not checks:
        return NOTHING
    number = sum(len(check.remarks) for check in checks)
    summary = element("summary", f"What was said besides: {counted(number, 'remark')}")
    return element("details", summary, _remarks_by_check(checks))


def _row(check: Check) -> Markup:
    result = badge(f"{_SIGNS[check.result]} {check.result.value}", _KINDS[check.result])
    seconds = f"{check.seconds:.2f} s" if check.seconds else ""
    return element(
        "tr",
        element("td", result, data_key=_ORDER.index(check.result)),
        element("td", check.subject.value),
        element("th", check.name, scope="row"),
        element("td", check.told or _told_by_remarks(check)),
        element("td", seconds, data_key=check.seconds, class_="amount"),
    )


def _told_by_remarks(check: Check) -> str:
    return counted(len(check.remarks), "remark") if check.remarks else ""


@dataclass(frozen=True, slots=True)
class _Said:
    """One remark and the check that it is of."""

    check: Check
    remark: Remark


def _remarks_by_check(checks: Sequence[Check]) -> Markup:
    """The remarks under the checks that they are of, a bounded number in all."""
    said = list(islice(_all_said(checks), MOST_REMARKS + 1))
    left = sum(max(1, len(check.remarks)) for check in checks) - MOST_REMARKS
    groups: dict[tuple[str, str], list[Remark]] = {}
    for one in said[:MOST_REMARKS]:
        groups.setdefault((one.check.subject.value, one.check.name), []).append(one.remark)
    by_name = {(check.subject.value, check.name): check for check in checks}
    bare = [check for check in islice(checks, MOST_REMARKS) if not check.remarks]
    parts = [_group(by_name[key], remarks) for key, remarks in groups.items()] + [_group(check, []) for check in bare]
    return together([*parts, _left_out(left, "remark", "JSON has all of them") if left > 0 else None])


def _all_said(checks: Iterable[Check]) -> Iterator[_Said]:
    return chain.from_iterable((_Said(check, remark) for remark in _by_level(check)) for check in checks)


def _by_level(check: Check) -> list[Remark]:
    return sorted(check.remarks, key=lambda remark: tuple(Level).index(remark.level))


def _group(check: Check, remarks: Sequence[Remark]) -> Markup:
    kind = _KINDS[check.result]
    title = element(
        "h3", f"{check.subject.value}: {check.name} ", badge(f"{_SIGNS[check.result]} {check.result.value}", kind)
    )
    told = element("p", check.told, class_="told") if check.told else None
    items = element("ol", *(_remark(remark) for remark in remarks), class_="remarks") if remarks else None
    return element("div", title, told, items, class_=f"check {kind}")


def _remark(remark: Remark) -> Markup:
    rule = BY_CODE.get(remark.code)
    name = f"{remark.code} {rule.name}" if rule else remark.code
    of = element("span", "entry ", code(remark.entry)) if remark.entry else None
    return element(
        "li",
        element("p", badge(remark.level.value, remark.level.value), " ", remark.message, class_="message"),
        marked_line(remark.place),
        element("p", f"→ {remark.remedy}", class_="remedy") if remark.remedy else None,
        witness_line(remark.witness),
        element("p", place_text(remark.place), of, element("span", name, class_="rule"), class_="where-from"),
    )


def _left_out(number: int, what: str, where: str) -> Markup:
    return element("p", f"{counted(number, f'more {what}')}: {where}.", class_="left-out")
