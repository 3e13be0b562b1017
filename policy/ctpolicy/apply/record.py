"""What is remembered of each change of a host: when, by whom, why, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from ctpolicy.errors import StateError

_VERSION: Final = "ctpolicy.change/v1"


class Outcome(Enum):
    """What came of a change."""

    BEGUN = "begun"
    """Nothing yet. If nobody is at it any longer, it was interrupted."""
    PENDING = "awaits confirmation"
    DONE = "done"
    CONFIRMED = "confirmed"
    PUT_BACK = "failed and was put back"
    REVERTED = "taken back"
    INCONSISTENT = "failed and left the host inconsistent"
    RECOVERED = "interrupted, and mended later"
    DAMAGED = "its record is damaged"


OPEN: Final = frozenset((Outcome.BEGUN, Outcome.PENDING))
"""Of these changes something has still to come."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a host.

    Args:
        number: its own, from 1.
        when: it began, as UTC in ISO 8601.
        boot: of the machine in which that was.
        command: that made it.
        policy: its name; empty if there was none.
        backend: by its name.
        by: the user.
        outcome: what came of it.
        note: more about that, in sentences.
        confirm_by: seconds since that boot (CLOCK_BOOTTIME, which no setting of the clock moves, and which goes on in a
            suspend) after which it is taken back; None if it needs no confirmation.
    """

    number: int
    when: str
    boot: str
    command: str
    policy: str
    backend: str
    by: str
    outcome: Outcome = Outcome.BEGUN
    note: str = ""
    confirm_by: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether something has still to come of it."""
        return self.outcome in OPEN

    def ended(self, outcome: Outcome, note: str = "") -> Change:
        """The same, with what came of it."""
        return replace(self, outcome=outcome, note=note)


def change_json(change: Change) -> dict[str, Any]:
    """The change as one object, by schemas/history-v1.schema.json."""
    return {
        "number": change.number,
        "when": change.when,
        "boot": change.boot,
        "command": change.command,
        "policy": change.policy,
        "backend": change.backend,
        "by": change.by,
        "outcome": change.outcome.name.lower(),
        "note": change.note,
        "confirmBy": change.confirm_by,
    }


def change_text(change: Change) -> bytes:
    """The content of the change's file."""
    return json.dumps({"apiVersion": _VERSION} | change_json(change)).encode()


def read_change(content: bytes, name: str) -> Change:
    """The change that a file holds.

    Raises:
        StateError: it is damaged.
    """
    try:
        found = json.loads(content)
        if found["apiVersion"] != _VERSION:
            raise ValueError("another version")
        return Change(
            **{word: str(found[word]) for word in ("when", "boot", "command", "policy", "backend", "by", "note")},
            number=int(found["number"]),
            outcome=Outcome[found["outcome"].upper()],
            confirm_by=None if found["confirmBy"] is None else float(found["confirmBy"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StateError(f"{name} is damaged.") from error
