"""The last changes of a host, as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ctpolicy.apply.record import Change, Outcome, change_json
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import awaits


def history_lines(state: State) -> Iterator[str]:
    """The changes, newest first."""
    changes = state.changes()
    if not changes:
        yield "Nothing is remembered: ctpolicy has changed nothing here yet."
        return
    rows = [(str(one.number), one.when, f"{one.command} {one.policy}".strip(), one.backend, one.by) for one in changes]
    titles = ("N", "when", "what", "where", "by")
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    yield "  ".join(title.ljust(width) for title, width in zip(titles, widths, strict=True)) + "  outcome"
    for change, row in zip(reversed(changes), reversed(rows), strict=True):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"{cells}  {_outcome(state, change)}"
        if change.note:
            yield f"{'':{widths[0]}}  {change.note}"


def _outcome(state: State, change: Change) -> str:
    if change.is_open and change.boot != state.clock.boot():
        return "ended by a reboot"
    if change.outcome is Outcome.BEGUN and change.confirm_by is None:
        return "begun: still at it, or interrupted (see `ctpolicy recover`)"
    return awaits(state, change) if change.is_open else change.outcome.value


def history_json(changes: Iterable[Change]) -> dict[str, Any]:
    """The changes, oldest first, as one object by schemas/history-v1.schema.json."""
    return {"apiVersion": "ctpolicy.history/v1", "changes": [change_json(change) for change in changes]}
