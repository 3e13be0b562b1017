"""What is remembered of changes: one that nobody has confirmed, one that was interrupted, the last that stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from ctpolicy.apply.record import Change, Outcome
from ctpolicy.metrics.metric import Metric, Sample, gauge, one

_STAYS: Final = frozenset((Outcome.DONE, Outcome.CONFIRMED, Outcome.PENDING))


def changes_metrics(changes: Iterable[Change], boot: str) -> Iterator[Metric]:
    """Metrics of what is remembered, oldest first.

    Args:
        changes: of one host.
        boot: the one in which the machine is: what was open in another is over.
    """
    known = tuple(changes)
    open_ = [change for change in known if change.is_open and change.boot == boot]
    unconfirmed = [change for change in open_ if change.confirm_by is not None]
    yield gauge(
        "change_unconfirmed",
        "Whether a change awaits its confirmation, and is taken back without.",
        (),
        one(bool(unconfirmed)),
    )
    yield gauge(
        "change_interrupted",
        "Whether a change is being made, or was interrupted: of the latter `ctpolicy recover` takes care.",
        (),
        one(any(change.confirm_by is None for change in open_)),
    )
    yield gauge(
        "change_inconsistent",
        "Whether the last change has left the host inconsistent.",
        (),
        one(bool(known) and known[-1].outcome is Outcome.INCONSISTENT),
    )
    yield gauge(
        "last_change_timestamp_seconds",
        "When the last change that stays was begun, by the command that made it (apply, rollback and others).",
        ("command", "backend"),
        _last(known),
    )


def _last(changes: Iterable[Change]) -> Iterator[Sample]:
    last = {
        (change.command, change.backend): when
        for change in changes
        if change.outcome in _STAYS and (when := _seconds(change.when)) is not None
    }
    return (Sample(labels, when) for labels, when in sorted(last.items()))


def _seconds(when: str) -> float | None:
    """Since 1970; None for a record that says something else."""
    try:
        return datetime.fromisoformat(when).timestamp()
    except ValueError:
        return None
