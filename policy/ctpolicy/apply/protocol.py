"""The protocol of apply. Confirmation, snapshots and locks will stand around it; this is the part that writes."""

from __future__ import annotations

from typing import TypeVar

from ctpolicy.errors import (
    CtpolicyError,
    DeadlineError,
    InconsistentError,
    KernelCrashError,
    NotAppliedError,
    RefusedError,
)
from ctpolicy.netfilter.backend import Host
from ctpolicy.plan.plan import Plan

Own = TypeVar("Own")


def apply_plan(plan: Plan[Own], host: Host[Own]) -> None:
    """Make what is live the desired, and look whether it is. A plan with nothing to do writes nothing.

    Raises:
        HostError: this host cannot (privilege, library); nothing was changed.
        NotAppliedError: it failed, and the host was looked at and is as it was before.
        InconsistentError: it failed, and the host is not, or could not be looked at.
    """
    if not plan:
        return
    failure = _change(host, plan.live, plan.desired)
    after = _look(plan, host, failure)
    if after == plan.desired:
        return
    if after != plan.live:
        _put_back(plan, after, host, failure)
    raise NotAppliedError(f"{_why(failure)} The host was read again and is as it was before.")


def _change(host: Host[Own], live: Own | None, desired: Own | None) -> CtpolicyError | None:
    """Run the transactions; the failure, if what the host is like now can only be known by looking."""
    try:
        host.change(live, desired)
    except (RefusedError, KernelCrashError, DeadlineError) as failure:
        return failure
    return None


def _look(plan: Plan[Own], host: Host[Own], failure: CtpolicyError | None) -> Own | None:
    try:
        return host.read()
    except CtpolicyError as error:
        raise InconsistentError(
            f"{_why(failure)} The host could not be read again: {error} {plan.backend.by_hand}"
        ) from error


def _put_back(plan: Plan[Own], after: Own | None, host: Host[Own], failure: CtpolicyError | None) -> None:
    """Make what is live what it was, and look whether it is; raise InconsistentError if it is not."""
    second = _change(host, after, plan.live)
    if _look(plan, host, second or failure) != plan.live:
        reason = f" Putting it back failed too: {second}" if second else ""
        raise InconsistentError(f"{_why(failure)} The host is not as it was before.{reason} {plan.backend.by_hand}")


def _why(failure: CtpolicyError | None) -> str:
    return str(failure) if failure else "The kernel took the change, but what it lists is not what was sent."
