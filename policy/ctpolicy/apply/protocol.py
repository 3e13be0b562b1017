"""The protocol of apply: lock, read, plan, try out, snapshot, commit, read back, verify; put back what went wrong.

Every change of a host goes this way, whatever command makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ctpolicy.apply.commit import commit_plan
from ctpolicy.apply.lock import LOCK_WAIT
from ctpolicy.apply.record import Change, Outcome
from ctpolicy.apply.signals import held
from ctpolicy.apply.snapshot import Snapshot
from ctpolicy.apply.state import State
from ctpolicy.apply.unfinished import settle
from ctpolicy.errors import CtpolicyError, HostError, InconsistentError, RefusedError, StaleError, StateError
from ctpolicy.netfilter.backend import Backend, Host
from ctpolicy.plan.plan import Plan

Own = TypeVar("Own")

ONLY_TRIED: Final = "That was a trial in a scratch namespace: nothing was changed on this host."

SAMPLE: Final = 8
"""Elements of each set that are tried out: whether the kernel takes a set does not depend on how many it holds."""


@dataclass(frozen=True, slots=True)
class Doors(Generic[Own]):
    """The host, and what else of the running system a change needs. Tests put fakes there.

    Args:
        host: what is changed.
        state: what is remembered of it.
        try_out: loads something into a scratch namespace; whether one was to be had.
        start_timer: starts the process that takes a change back, if nobody confirms it.
    """

    host: Host[Own]
    state: State
    try_out: Callable[[Own], bool]
    start_timer: Callable[[Change], None]


@dataclass(frozen=True, slots=True)
class Order(Generic[Own]):
    """What is wanted.

    Args:
        command: that wants it, for the record.
        show: shows a plan; whether to go on with it.
        asks: whether that takes a person, for whom nobody else should have to wait.
        confirm_within: seconds; None for a change that needs no confirmation.
        lock_wait: seconds to wait for another ctpolicy.
        tells: takes a sentence for the user.
        allow: raises if a plan may not be carried out, whatever was shown and agreed to.
    """

    command: str
    show: Callable[[Plan[Own]], bool]
    asks: bool = False
    confirm_within: float | None = None
    lock_wait: float = LOCK_WAIT
    tells: Callable[[str], None] = lambda _: None
    allow: Callable[[Plan[Own]], None] = lambda _: None


def apply(make: Callable[[], Plan[Own]], order: Order[Own], doors: Doors[Own]) -> Plan[Own] | None:
    """Read a host, plan, and carry the plan out; the plan, or None if it is not wanted.

    Args:
        make: reads the host and plans.
        order: what is wanted.
        doors: to the host.

    Raises:
        LockError: somebody else changes this host, or a change awaits confirmation. Nothing was changed.
        StaleError: the host is not as it was when the plan was shown. Nothing was changed.
        HazardError: it would break what nobody accepts. Nothing was changed.
        StateError: no snapshot can be kept. Nothing was changed.
        HostError: this host cannot; it is as it was before.
        NotAppliedError: it failed otherwise; likewise.
        InconsistentError: it failed, and the host is not as it was; or it was done, and cannot be remembered.
    """
    shown = make() if order.asks else None
    if shown is not None and not order.show(shown):
        return None
    with doors.state.locked(order.lock_wait):
        unfinished = settle(doors.state)
        plan = make()
        if shown is None and not order.show(plan):
            return None
        _refuse_moved(shown, plan)
        order.allow(plan)
        interrupted = [change for change in unfinished if change.backend == plan.backend.name]
        after = snapshot_of(plan.backend, plan.desired)
        with held() as came:
            if plan:
                _tell_what_is_lost(plan, order)
                _try_out(plan, order, doors)
                before = _before(doors.state, plan, interrupted)
                change = doors.state.begin(order.command, plan.policy, before, after, order.confirm_within)
                carry_out(change, plan, doors)
            else:
                doors.state.confirm_as_it_is(after)
            for one in interrupted:
                doors.state.end(one, Outcome.RECOVERED, "It was interrupted; another change came after it.")
    for name in came:
        order.tells(f"{name} came in the midst of the change, which was completed and verified first.")
    return plan


def carry_out(change: Change, plan: Plan[Own], doors: Doors[Own]) -> None:
    """Make a change that is remembered, and remember what came of it; raises as apply() does. The lock is held."""
    try:
        if change.confirm_by is not None:
            doors.start_timer(change)
        commit_plan(plan, doors.host)
    except CtpolicyError as error:
        outcome = Outcome.INCONSISTENT if isinstance(error, InconsistentError) else Outcome.PUT_BACK
        _remember_failure(doors.state, change, outcome, error)
        raise
    try:
        doors.state.end(change, Outcome.DONE if change.confirm_by is None else Outcome.PENDING)
    except StateError as error:
        raise InconsistentError(
            f"The change was made and verified, but that could not be written down: {error} Until it is, a reboot "
            "brings back what was confirmed before. Mend that, then run the same command again."
        ) from error


def snapshot_of(backend: Backend[Own], own: Own | None) -> Snapshot:
    """What a backend has, for keeping."""
    return Snapshot(backend.name, None if own is None else backend.written(own))


def own_of(backend: Backend[Own], snapshot: Snapshot) -> Own | None:
    """What was kept."""
    return None if snapshot.own is None else backend.read_written(snapshot.own)


def to_go_back_to(backend: Backend[Own], snapshot: Snapshot) -> Own | None:
    """The same, but for what nobody can make again, so that going back does not fail over it."""
    own = own_of(backend, snapshot)
    return None if own is None else backend.restorable(own)


def _refuse_moved(shown: Plan[Own] | None, plan: Plan[Own]) -> None:
    if shown is not None and (shown.live, shown.desired) != (plan.live, plan.desired):
        raise StaleError(
            "The host or the policy changed after the plan was shown; nothing was done. Look at the new plan first: "
            "run this again."
        )


def _tell_what_is_lost(plan: Plan[Own], order: Order[Own]) -> None:
    for lost in () if plan.live is None else plan.backend.lost(plan.live):
        order.tells(f"Somebody else put this there, and no rollback can bring it back: {lost}.")


def _try_out(plan: Plan[Own], order: Order[Own], doors: Doors[Own]) -> None:
    """See whether this kernel takes what is to come, without touching the host."""
    if plan.desired is None:
        return
    try:
        tried = doors.try_out(plan.backend.sample(plan.desired, SAMPLE))
    except RefusedError as error:
        raise HostError(f"This kernel does not take the rules. {error} {ONLY_TRIED}") from error
    except CtpolicyError as error:
        error.args = (f"{error} {ONLY_TRIED}",)
        raise
    if not tried:
        order.tells("Not tried out first: no scratch network namespace is to be had here (CAP_SYS_ADMIN).")


def _before(state: State, plan: Plan[Own], interrupted: list[Change]) -> Snapshot:
    """What to go back to: what is live, but not if that is what interrupted changes have left half done."""
    live = snapshot_of(plan.backend, plan.live)
    try:
        ends = [end for change in interrupted for end in (state.before(change), state.after(change))]
        is_whole = plan.live in [own_of(plan.backend, end) for end in ends]
    except CtpolicyError:
        return live  # what was before is damaged, so there is nothing better
    return live if is_whole or not ends else ends[0]


def _remember_failure(state: State, change: Change, outcome: Outcome, failure: CtpolicyError) -> None:
    try:
        state.end(change, outcome, str(failure))
    except StateError as error:
        failure.args = (f"{failure} That could not be written down either: {error}",)
