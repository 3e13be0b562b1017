"""A review as JUnit XML, for CI systems that list tests: a suite for each subject, a test for each check.

The form is that of Jenkins (junit-10.xsd of its xUnit plugin), which GitLab and others read too. It has no place for
positions, so these are in the text of a failure. What was waived, or not asked, is a skipped test that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ctpolicy.language.diagnostics import harmless
from ctpolicy.review.review import Change, Check, Level, Remark, Result, Review, Subject

MOST_MOVES: Final = 1000
"""Moves that the output of the suites has; of more, that there are."""

_SUBJECTS: Final = tuple(Subject)


def junit_report(review: Review) -> str:
    """A review as one XML document."""
    root = Element("testsuites", {"name": "ctpolicy review", **_counts(review.checks)})
    by_subject = sorted(review.checks, key=lambda check: _SUBJECTS.index(check.subject))
    for subject, group in groupby(by_subject, key=lambda check: check.subject):
        _suite(root, subject.value, list(group), review)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _counts(checks: Sequence[Check]) -> dict[str, str]:
    failures = sum(check.result is Result.BROKEN for check in checks)
    seconds = sum(check.seconds for check in checks)
    return {"tests": str(len(checks)), "failures": str(failures), "errors": "0", "time": f"{seconds:.3f}"}


def _suite(root: Element, name: str, checks: Sequence[Check], review: Review) -> None:
    skipped = sum(check.result in {Result.WAIVED, Result.NOT_ASKED} for check in checks)
    suite = SubElement(root, "testsuite", {"name": name, **_counts(checks), "skipped": str(skipped)})
    _properties(suite, review)
    for check in checks:
        _case(suite, check)
    if review.change is not None and len(root) == 1:  # once, in the first suite
        SubElement(suite, "system-out").text = _text(_change(review.change))


def _properties(suite: Element, review: Review) -> None:
    properties = SubElement(suite, "properties")
    named = [("policy", review.policy), *(("file", file) for file in review.files)]
    if review.change is not None:
        named.append(("base", review.change.base))
    for name, value in named:
        SubElement(properties, "property", name=name, value=_text(value))


def _case(suite: Element, check: Check) -> None:
    subject = check.subject.name.lower()
    case = SubElement(
        suite, "testcase", name=_text(check.name), classname=f"ctpolicy.{subject}", time=f"{check.seconds:.3f}"
    )
    if check.result is Result.BROKEN:
        failure = SubElement(case, "failure", type=_kind(check), message=_text(_first(check)))
        failure.text = _text(_remarks(check))
    elif check.result is not Result.HELD:
        skipped = SubElement(case, "skipped", message=_text(check.told or check.result.value))
        skipped.text = _text(_remarks(check))
    elif check.told or check.remarks:
        SubElement(case, "system-out").text = _text("\n".join(filter(None, [check.told, _remarks(check)])))


def _kind(check: Check) -> str:
    """The code of what broke it."""
    return next((remark.code for remark in check.remarks if remark.level is not Level.NOTE), "broken")


def _first(check: Check) -> str:
    """The first message that is no note, which lists of tests show."""
    return next((remark.message for remark in check.remarks if remark.level is not Level.NOTE), check.told)


def _remarks(check: Check) -> str:
    return "\n".join(map(_remark, check.remarks))


def _remark(remark: Remark) -> str:
    at = f"{remark.place}: " if remark.place else ""
    lines = [f"{at}{remark.level.value}: {remark.code} {remark.message}"]
    lines += [f"  entry: {remark.entry}"] if remark.entry else []
    lines += [f"  remedy: {remark.remedy}"] if remark.remedy else []
    lines += [f"  such as: {remark.witness}"] if remark.witness else []
    return "\n".join(lines)


def _change(change: Change) -> str:
    lines = [f"Packets that change since {change.base}:"]
    lines += [f"{move.direction.value} {move.packets} ({move.size}): {move.entry}, {move.why}" for move in change.moves]
    del lines[MOST_MOVES + 1 :]
    if change.unread or change.is_too_large:
        lines.append(change.unread or "too many to tell exactly")
    elif not change.moves:
        lines.append("none")
    elif len(change.moves) > MOST_MOVES or not change.is_complete:
        lines.append("and more")
    return "\n".join(lines)


def _text(text: str) -> str:
    """The same without characters that XML forbids or that terminals obey; lines stay lines."""
    return "\n".join(map(harmless, text.split("\n")))
