"""What a drain finds and does, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ctpolicy.conntrack.drain import Counted, Drained


def counted_lines(counted: Counted) -> Iterator[str]:
    """The pointless entries by policy entry, and what is left alone with why."""
    width = max((len(name) for name in counted.pointless), default=0)
    if counted:
        yield f"{'entry':<{max(width, 5)}}  {'pointless':>10}"
        for name, number in counted.pointless.items():
            yield f"{name:<{max(width, 5)}}  {number:>10}"
        yield ""
    if counted.left_alone:
        yield "left alone, though the rules bypass them both ways:"
        for reason, number in counted.left_alone.items():
            yield f"  {number} {reason.value}"
        yield ""
    yield f"{counted.number} of {_entries(counted.total)} in the conntrack table {_are(counted.number)} pointless."


def drained_line(drained: Drained) -> str:
    """What was deleted."""
    gone = f", {drained.gone} were gone by themselves" if drained.gone else ""
    looked = "; the table was read again, and none is left" if not drained.left else ""
    return f"Deleted {_entries(drained.deleted)}{gone}{looked}."


def drain_json(counted: Counted, drained: Drained | None) -> dict[str, Any]:
    """The same as one object, by schemas/drain-v1.schema.json.

    Args:
        counted: what was found.
        drained: what was done; None if nothing was to be done.
    """
    return {
        "apiVersion": "ctpolicy.drain/v1",
        "total": counted.total,
        "pointless": [{"name": name, "entries": number} for name, number in counted.pointless.items()],
        "leftAlone": [
            {"reason": reason.name.lower(), "entries": number} for reason, number in counted.left_alone.items()
        ],
        "drained": None
        if drained is None
        else {"deleted": drained.deleted, "gone": drained.gone, "left": drained.left, "inTime": drained.in_time},
    }


def _entries(number: int) -> str:
    return f"{number} entry" if number == 1 else f"{number} entries"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
