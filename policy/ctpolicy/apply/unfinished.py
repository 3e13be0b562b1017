"""Changes of which something has still to come: a confirmation, or, after a crash, somebody to look."""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.apply import timer
from ctpolicy.apply.record import Change, Outcome
from ctpolicy.apply.state import State
from ctpolicy.errors import LockError


def settle(state: State) -> list[Change]:
    """Look whether anything is unfinished before another change begins. The lock is held.

    Returns:
        the changes that were interrupted, so that nobody knows how far they came, oldest first.

    Raises:
        LockError: a change awaits confirmation.
    """
    close_those_of_other_boots(state)
    unfinished = [change for change in state.changes() if change.is_open]
    for change in reversed(unfinished):
        if change.confirm_by is not None:
            raise LockError(
                f"Change {change.number} ({change.command} {change.policy}) {awaits(state, change)}. First keep it "
                "(`ctpolicy confirm`) or take it back (`ctpolicy rollback`)."
            )
    return unfinished


def close_those_of_other_boots(state: State) -> None:
    """Of what was unfinished when the host went down nothing is live any longer, nor is its timer."""
    for change in state.changes():
        if change.is_open and change.boot != state.clock.boot():
            state.end(change, Outcome.REVERTED, "The host was rebooted before it was through, or confirmed.")


def awaits(state: State, change: Change) -> str:
    """What becomes of an unconfirmed change, in words that go after its name."""
    assert change.confirm_by is not None
    if not timer.is_there(state.directory_of(change)):
        return "was not confirmed, and the process that was to take it back is gone"
    left = change.confirm_by - state.clock.since_boot()
    return f"is taken back in {left:.0f} seconds unless it is confirmed" if left > 0 else "is being taken back"


def unfinished_lines(state: State) -> Iterator[str]:
    """What whoever looks at the host should know of such changes."""
    change = state.open_change()
    if change is not None and change.boot == state.clock.boot():
        title = f"Change {change.number} ({change.command} {change.policy})"
        if change.confirm_by is not None:
            yield f"{title} {awaits(state, change)}: `ctpolicy confirm`, `ctpolicy rollback`."
        else:
            yield f"{title} is being made, or was interrupted: `ctpolicy recover`."
    last = next(iter(reversed(state.changes())), None)
    if last is not None and last.outcome is Outcome.INCONSISTENT:
        yield f"Change {last.number} ({last.command} {last.policy}) has left the host inconsistent: {last.note}"
