"""A review as SARIF 2.1.0 (OASIS), so that a forge annotates the lines of a pull request.

What a forge asks beyond the standard: at least one location in each result (GitHub refuses a file for one that has
none), a help text for each rule, at most 25,000 results, and fingerprints that stay when lines move. GitHub goes by
`primaryLocationLineHash` and reckons one from the line's text if there is none: ours is of what is said, so that it
also stays the same finding when the line is written anew. It does not read suppressions, so what is waived is a note
besides, of which no check of a forge fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from posixpath import normpath
from re import compile as pattern
from typing import Any, Final
from urllib.parse import quote

import ctpolicy
from ctpolicy.language.diagnostics import Place, harmless
from ctpolicy.review.codes import RULES, Rule
from ctpolicy.review.reports.as_json import json_text
from ctpolicy.review.review import Check, Direction, Level, Move, Remark, Result, Review

MOST_RESULTS: Final = 25_000
"""Results that GitHub takes in one run."""

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT: Final = "%SRCROOT%"
_RULE_INDEX: Final = {rule.code: index for index, rule in enumerate(RULES)}
_ORDER: Final = {Level.ERROR: 0, Level.WARNING: 1, Level.NOTE: 2}
_OF_WAIVERS: Final = "RV004"
"""The rule about waivers themselves, which no waiver is for."""
_MOVED: Final = {Direction.UNTRACKED: "RV008", Direction.TRACKED: "RV009"}

_LINK: Final = pattern(r"\](?=\()")
_PLACEHOLDER: Final = pattern(r"\{(\d+)\}")


@dataclass(frozen=True, slots=True)
class _Said:
    """What one result says.

    Args:
        code: of its rule.
        level: how much it matters.
        text: its message.
        place: where; None if it is of no place.
        key: what it is about, without anything that moves with lines.
        properties: more for programs.
        waiver: why it counts for nothing; None if it counts.
    """

    code: str
    level: Level
    text: str
    place: Place | None
    key: tuple[str, ...]
    properties: dict[str, str]
    waiver: str | None = None


def sarif_report(review: Review) -> str:
    """A review as one SARIF log of one run."""
    said = sorted(_all(review), key=lambda one: _ORDER[one.level])
    run = {
        "tool": {"driver": _driver()},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "Where ctpolicy was run: the top of a checkout."}}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": _notifications(review, said)}],
        "results": list(_results(said[:MOST_RESULTS], review)),
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _driver() -> dict[str, Any]:
    return {"name": "ctpolicy", "semanticVersion": ctpolicy.__version__, "rules": [_rule(rule) for rule in RULES]}


def _rule(rule: Rule) -> dict[str, Any]:
    text = {"text": rule.summary}
    return {"id": rule.code, "name": rule.name, "shortDescription": text, "fullDescription": text, "help": text}


def _all(review: Review) -> Iterator[_Said]:
    for check in review.checks:
        said = [_remark(check, remark) for remark in check.remarks]
        yield from said
        if check.result is Result.WAIVED and all(one.waiver is None for one in said):
            yield _waived(check)
    if review.change is not None:
        yield from map(_move, review.change.moves)


def _waived(check: Check) -> _Said:
    """What is said of a check of which nothing but its waiver is told."""
    text, properties = f"{check.name}: {check.told}", {"subject": check.subject.value, "check": check.name}
    return _Said("RV003", Level.NOTE, text, None, (check.subject.name, check.name), properties, check.told)


def _remark(check: Check, remark: Remark) -> _Said:
    lines = [remark.message]
    lines += [f"remedy: {remark.remedy}"] if remark.remedy else []
    lines += [f"such as: {remark.witness}"] if remark.witness else []
    properties = {"subject": check.subject.value, "check": check.name}
    properties |= {"entry": remark.entry} if remark.entry else {}
    properties |= {"witness": str(remark.witness)} if remark.witness else {}
    key = (check.subject.name, check.name, remark.entry, remark.message)
    is_waived = check.result is Result.WAIVED and remark.code != _OF_WAIVERS
    level, waiver = (Level.NOTE, check.told) if is_waived else (remark.level, None)
    return _Said(remark.code, level, "\n".join(lines), remark.place, key, properties, waiver)


def _move(move: Move) -> _Said:
    risk = f" ({move.risk.words})" if move.risk.words else ""
    text = (
        f"{move.direction.words}{risk}: {move.packets}, {move.size}: {move.entry}: {move.why}\nsuch as: {move.witness}"
    )
    properties = {"entry": move.entry, "witness": str(move.witness), "risk": move.risk.name.lower()}
    key = (move.role, move.entry, move.packets)
    return _Said(_MOVED[move.direction], Level.NOTE, text, move.place, key, properties)


def _results(said: Iterable[_Said], review: Review) -> Iterator[dict[str, Any]]:
    seen: Counter[str] = Counter()
    for one in said:
        place = one.place or _whole(review)
        uri = _uri(place.file) if place else ""
        fingerprint = sha256("\0".join([one.code, uri, *one.key]).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        seen[fingerprint] += 1  # the same is said twice: told apart, as GitHub does, by a number
        yield _result(one, place, f"{fingerprint}:{seen[fingerprint]}")


def _whole(review: Review) -> Place | None:
    """The first policy, for what is of no place: what an entry that is gone did, or all of the policy does."""
    return next(map(Place, review.files), None)


def _result(said: _Said, place: Place | None, fingerprint: str) -> dict[str, Any]:
    result = {
        "ruleId": said.code,
        "ruleIndex": _RULE_INDEX[said.code],
        "level": said.level.value,
        "message": {"text": _message(said.text)},
        "locations": [_location(place)] if place else [],
        "partialFingerprints": {"ctpolicy/v1": fingerprint, "primaryLocationLineHash": fingerprint},
        "properties": said.properties,
    }
    if said.waiver is not None:
        waived = {"kind": "external", "status": "accepted", "justification": said.waiver or "waived"}
        return {**result, "suppressions": [waived]}
    return result


def _message(text: str) -> str:
    """A message as plain text: nothing of it is a link, or a place for an argument."""
    shown = "\n".join(map(harmless, text.split("\n")))
    return _PLACEHOLDER.sub(r"{{\1}}", _LINK.sub(r"\\]", shown)) or "-"


def _location(place: Place) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(place.file), "region": _region(place)}}


def _artifact(file: str) -> dict[str, Any]:
    uri = _uri(file)
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": _ROOT}


def _uri(file: str) -> str:
    """A file as a reference: relative to where ctpolicy was run, unless it was named from the root."""
    path = quote(normpath(file).encode("utf-8", "surrogatepass"), safe="/")
    return f"file:///{path.lstrip('/')}" if path.startswith("/") else path


def _region(place: Place) -> dict[str, int]:
    """The span; of a file as a whole its first line, because a forge shows nothing that has no line."""
    if not place.line:
        return {"startLine": 1}
    columns = {"startColumn": place.column, "endColumn": place.column + place.length} if place.column else {}
    return {"startLine": place.line, **columns}


def _notifications(review: Review, said: list[_Said]) -> list[dict[str, Any]]:
    """What is no result: which questions were not asked, and that there is more than a forge takes."""
    notes = [f"not asked: {check.name}: {check.told}" for check in review.checks if check.result is Result.NOT_ASKED]
    if len(said) > MOST_RESULTS:
        notes.append(f"{len(said) - MOST_RESULTS} results more are left out; the JSON report has all of them")
    if review.change is not None and not review.change.is_complete:
        notes.append("not all packets that change are told")
    return [{"level": "note", "message": {"text": _message(note)}} for note in islice(notes, MOST_RESULTS)]
