"""After a crash or a reboot: what was interrupted is looked at and mended, what was confirmed is made live again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from ctpolicy.apply import timer
from ctpolicy.apply.commit import commit_plan
from ctpolicy.apply.lock import LOCK_WAIT
from ctpolicy.apply.protocol import Doors, carry_out, own_of, snapshot_of, to_go_back_to
from ctpolicy.apply.record import Change, Outcome
from ctpolicy.apply.signals import held
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import close_those_of_other_boots
from ctpolicy.errors import CtpolicyError
from ctpolicy.netfilter.backend import Backend
from ctpolicy.plan.plan import Plan

Own = TypeVar("Own")

Reached = Callable[[str], tuple[Backend[Any], Doors[Any]]]
"""A backend by its name, and the doors to the host for it."""

_RESTORE: Final = "restore"


def recover(state: State, reach: Reached, lock_wait: float = LOCK_WAIT) -> list[str]:
    """Look at the changes that were interrupted, and put back those that are half done.

    Returns:
        what was found and done, a sentence for each; empty if there is nothing to mend.

    Raises:
        LockError: somebody else changes this host.
        CtpolicyError: it could not be put back; the error says what the host is like.
    """
    with state.locked(lock_wait):
        close_those_of_other_boots(state)
        return [
            _recover(change, *reach(change.backend)) for change in state.changes() if _wants_recovery(state, change)
        ]


def _wants_recovery(state: State, change: Change) -> bool:
    """Whether nobody is at it any longer. What was left inconsistent is, as long as nothing came after it."""
    if change.outcome is Outcome.INCONSISTENT:
        return change.number == state.changes()[-1].number
    if change.confirm_by is not None:
        return change.is_open and not timer.is_there(state.directory_of(change))
    return change.outcome is Outcome.BEGUN


def _recover(change: Change, backend: Backend[Own], doors: Doors[Own]) -> str:
    before, after = (own_of(backend, kept) for kept in (doors.state.before(change), doors.state.after(change)))
    live = doors.host.read()
    if live == after and change.confirm_by is None:
        outcome, found = Outcome.DONE, "was done; it is kept"
    elif live == before:
        outcome, found = Outcome.PUT_BACK, "had changed nothing"
    else:
        with held():
            commit_plan(Plan(backend, "", live, to_go_back_to(backend, doors.state.before(change))), doors.host)
        outcome, found = Outcome.RECOVERED, "was put back: the host was read again and is as it was before it"
    doors.state.end(change, outcome, f"It was interrupted, and {found}.")
    return f"Change {change.number} ({change.command} {change.policy}) was interrupted, and {found}."


def restore(state: State, reach: Reached, lock_wait: float = LOCK_WAIT) -> list[str]:
    """Make live again what was last confirmed, of each backend.

    Returns:
        what was done, a sentence for each backend; empty if nothing was ever confirmed.

    Raises:
        LockError: somebody else changes this host.
        CtpolicyError: one of them could not be restored; the others were.
    """
    told, failed = [], []
    with state.locked(lock_wait):
        close_those_of_other_boots(state)
        for name in state.confirmed_backends():
            try:
                told.append(_restore(state, *reach(name)))
            except CtpolicyError as error:
                failed.append(error)
        if not failed:
            _close_unconfirmed(state)
    if failed:
        raise failed[0]
    return told


def _close_unconfirmed(state: State) -> None:
    change = state.open_change()
    if change:
        state.end(change, Outcome.REVERTED, "What was confirmed before was restored.")


def _restore(state: State, backend: Backend[Own], doors: Doors[Own]) -> str:
    kept = state.confirmed(backend.name)
    assert kept is not None
    plan = Plan(backend, "", doors.host.read(), own_of(backend, kept))
    backend.refuse_foreign(plan.live)
    if not plan:
        return f"{backend.name}: what was confirmed is live."
    with held():
        change = state.begin(_RESTORE, "", snapshot_of(backend, plan.live), kept)
        carry_out(change, plan, doors)
    return f"{backend.name}: what was confirmed is live again."
