"""Commit, read back, verify, put back: the part of apply that writes to the kernel.

A change may take several transactions, and any of them can fail in any way. So whatever a failure says of itself, the
host is read again before anything is said of it; and what was done before the failure is undone, and that looked at.
"""

from __future__ import annotations

from typing import Final, TypeVar

from ctpolicy.errors import (
    CtpolicyError,
    HostError,
    InconsistentError,
    KernelCrashError,
    LockError,
    NotAppliedError,
    RefusedError,
)
from ctpolicy.netfilter.backend import Host
from ctpolicy.plan.plan import Plan

Own = TypeVar("Own")

_AS_BEFORE: Final = "The host was read again and is as it was before."


def commit_plan(plan: Plan[Own], host: Host[Own]) -> None:
    """Make what is live the desired, and look whether it is. A plan with nothing to do writes nothing.

    Raises:
        HostError: this host cannot (privilege, tool, module); it was looked at and is as it was before.
        LockError: another held a lock all the while; likewise.
        NotAppliedError: it failed otherwise; likewise.
        InconsistentError: it failed, and the host is not as it was, or could not be looked at.
    """
    if not plan:
        return
    failure = _change(host, plan.live, plan.desired)
    after = _look(plan, host, failure)
    if after == plan.desired:
        return
    if after != plan.live:
        _put_back(plan, after, host, failure)
    raise _as_before(failure)


def _change(host: Host[Own], live: Own | None, desired: Own | None) -> CtpolicyError | None:
    """Run the transactions; the failure, after which only looking tells what the host is like now."""
    try:
        host.change(live, desired)
    except CtpolicyError as failure:
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


def _as_before(failure: CtpolicyError | None) -> CtpolicyError:
    """The error to tell once the host is known to be as it was.

    What this host lacks, and a lock that another has, are told as such, for they tell callers what to do: get it, or
    try again.
    """
    told = f"{_why(failure)} {_AS_BEFORE}"
    match failure:
        case LockError():
            return LockError(told)
        case HostError() if not isinstance(failure, RefusedError | KernelCrashError):
            return HostError(told)
    return NotAppliedError(told)


def _why(failure: CtpolicyError | None) -> str:
    return str(failure) if failure else "The kernel took the change, but what it lists is not what was sent."
