"""Changes that have to be confirmed: kept by `confirm` from a connection that still works, else taken back."""

from __future__ import annotations

from typing import Final, TypeVar

from ctpolicy.apply.commit import commit_plan
from ctpolicy.apply.lock import LOCK_WAIT
from ctpolicy.apply.protocol import Doors, to_go_back_to
from ctpolicy.apply.record import Change, Outcome
from ctpolicy.apply.signals import held
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import close_those_of_other_boots
from ctpolicy.errors import CtpolicyError, StaleError
from ctpolicy.netfilter.backend import Backend
from ctpolicy.plan.plan import Plan

Own = TypeVar("Own")

_BETWEEN_LOOKS: Final = 1.0
"""Seconds. A sleep stops in a suspend, and time until the deadline does not."""

_TRIES: Final = 5
_BETWEEN_TRIES: Final = 5.0

_MOST_LOCK_WAIT: Final = 3600.0
"""Whatever holds the lock when time is up, taking back comes after it."""


def confirm(state: State, lock_wait: float = LOCK_WAIT) -> Change:
    """Keep the change that awaits it.

    Raises:
        LockError: somebody else changes this host.
        StaleError: there is none, or not any longer.
    """
    with state.locked(lock_wait):
        close_those_of_other_boots(state)
        changes = state.changes()
        waiting = [change for change in changes if change.outcome is Outcome.PENDING]
        if not waiting:
            last = changes[-1] if changes else None
            told = f" The last change, {last.number}, was: {last.outcome.value}. {last.note}" if last else ""
            raise StaleError(f"Nothing awaits confirmation.{told}".strip())
        return state.end(waiting[-1], Outcome.CONFIRMED)


def take_back(change: Change, why: str, backend: Backend[Own], doors: Doors[Own]) -> None:
    """Make live again what was live before an unconfirmed change. The lock is held.

    Raises:
        StateError: what was live before is damaged.
        CtpolicyError: it failed; the host is as it was before, or inconsistent, as the error says.
    """
    before = to_go_back_to(backend, doors.state.before(change))
    with held():
        commit_plan(Plan(backend, "", doors.host.read(), before), doors.host)
        doors.state.end(change, Outcome.REVERTED, why)


def wait_and_take_back(number: int, backend: Backend[Own], doors: Doors[Own]) -> None:
    """What the timer does: wait until a change is confirmed, or take it back when its time is up.

    Raises:
        CtpolicyError: it could not be taken back, after several tries; that is remembered.
    """
    state, change = doors.state, doors.state.change(number)
    assert change.confirm_by is not None
    while change.is_open and (left := change.confirm_by - state.clock.since_boot()) > 0:
        state.clock.sleep(min(left, _BETWEEN_LOOKS))
        change = state.change(number)
    with state.locked(_MOST_LOCK_WAIT):
        if state.change(number).is_open:
            _take_back_if_it_takes_several_tries(change, backend, doors)


def _take_back_if_it_takes_several_tries(change: Change, backend: Backend[Own], doors: Doors[Own]) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            take_back(change, "Nobody confirmed it in time.", backend, doors)
            return
        except CtpolicyError as error:
            if tries_left == 0:
                doors.state.end(change, Outcome.INCONSISTENT, f"It could not be taken back: {error}")
                raise
            doors.state.clock.sleep(_BETWEEN_TRIES)
