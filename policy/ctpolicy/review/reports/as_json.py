"""A review for programs, by schemas/review-v1.schema.json."""

from __future__ import annotations

import json
from typing import Any

from ctpolicy.language.diagnostics import Place
from ctpolicy.review.review import Change, Check, Covered, EntrySummary, EntryTurn, Move, Remark, Review


def json_report(review: Review) -> str:
    """A review as one JSON object."""
    return json_text(
        {
            "apiVersion": "ctpolicy.review/v1",
            "passed": review.is_passed,
            "files": list(review.files),
            "policy": review.policy or None,
            "checks": [_check(check) for check in review.checks],
            "change": review.change and _change(review.change),
            "entries": [_entry(entry) for entry in review.entries],
        }
    )


def json_text(value: Any) -> str:
    """One JSON value as commands print it: ASCII, of which only DEL is none of its own escapes, and one line feed."""
    return json.dumps(_unicode(value), indent=2).replace("\x7f", "\\u007f") + "\n"


def _unicode(value: Any) -> Any:
    """The same without lone surrogates, as file names have them: strict readers refuse a whole document for one."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_unicode(part) for part in value]
    return {key: _unicode(part) for key, part in value.items()} if isinstance(value, dict) else value


def _check(check: Check) -> dict[str, Any]:
    return {
        "subject": check.subject.name.lower(),
        "name": check.name,
        "result": check.result.value,
        "told": check.told,
        "seconds": round(check.seconds, 3),
        "remarks": [_remark(remark) for remark in check.remarks],
    }


def _remark(remark: Remark) -> dict[str, Any]:
    return {
        "code": remark.code,
        "level": remark.level.value,
        "message": remark.message,
        "remedy": remark.remedy or None,
        "place": _place(remark.place),
        "witness": None if remark.witness is None else str(remark.witness),
        "entry": remark.entry or None,
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    return {"file": place.file, "line": place.line, "column": place.column, "length": place.length}


def _change(change: Change) -> dict[str, Any]:
    return {
        "base": change.base,
        "unread": change.unread or None,
        "tooLarge": change.is_too_large,
        "complete": change.is_complete,
        "moves": [_move(move) for move in change.moves],
        "entries": [_turn(turn) for turn in change.entries],
    }


def _move(move: Move) -> dict[str, Any]:
    return {
        "direction": move.direction.name.lower(),
        "risk": move.risk.name.lower(),
        "packets": move.packets,
        "size": move.size,
        "role": move.role,
        "entry": move.entry,
        "why": move.why,
        "witness": str(move.witness),
        "place": _place(move.place),
    }


def _turn(turn: EntryTurn) -> dict[str, Any]:
    return {
        "role": turn.role,
        "name": turn.name,
        "turn": turn.turn.name.lower(),
        "meansTheSame": turn.means_the_same,
        "was": turn.was or None,
    }


def _entry(entry: EntrySummary) -> dict[str, Any]:
    return {
        "role": entry.role,
        "name": entry.name,
        "kind": entry.kind,
        "description": entry.description or None,
        "acknowledge": entry.acknowledge,
        "place": _place(entry.place),
        "covers": [_covered(covered) for covered in entry.covers],
    }


def _covered(covered: Covered) -> dict[str, Any]:
    return {"path": covered.path, "packets": list(covered.packets)}
