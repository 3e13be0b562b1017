"""The protocol of apply. Confirmation, snapshots and locks will stand around it; this is the part that writes."""

from __future__ import annotations

from ctpolicy.errors import CtpolicyError, DeadlineError, InconsistentError, KernelCrashError, NotAppliedError
from ctpolicy.nftables.change import difference
from ctpolicy.nftables.kernel import Kernel, RefusedError
from ctpolicy.nftables.render_json import Json
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.transaction import removal, transaction
from ctpolicy.plan.plan import Plan

_BY_HAND = (
    "Look at it with `nft list table inet ctpolicy`. To start again: `nft delete table inet ctpolicy`, then apply the "
    "policy once more."
)


def apply_plan(plan: Plan, kernel: Kernel) -> None:
    """Make the live table the desired one, and look whether it is. A plan with nothing to do writes nothing.

    Raises:
        HostError: this host cannot (privilege, library); nothing was changed.
        NotAppliedError: it failed, and the host was looked at and is as it was before.
        InconsistentError: it failed, and the host is not, or could not be looked at.
    """
    if not plan:
        return
    failure = _commit(plan.document(), kernel)
    after = _look(kernel, failure)
    if after == plan.desired:
        return
    if after != plan.live:
        _put_back(plan.live, after, kernel, failure)
    raise NotAppliedError(f"{_why(failure)} The host was read again and is as it was before.")


def _commit(document: Json, kernel: Kernel) -> CtpolicyError | None:
    """Run a transaction; the failure, if what the host is like now can only be known by looking."""
    try:
        kernel.commit(document)
    except (RefusedError, KernelCrashError, DeadlineError) as failure:
        return failure
    return None


def _look(kernel: Kernel, failure: CtpolicyError | None) -> Table | None:
    try:
        return kernel.read_table()
    except CtpolicyError as error:
        raise InconsistentError(f"{_why(failure)} The host could not be read again: {error} {_BY_HAND}") from error


def _put_back(before: Table | None, after: Table | None, kernel: Kernel, failure: CtpolicyError | None) -> None:
    """Make the live table what it was, and look whether it is; raise InconsistentError if it is not."""
    document = transaction(difference(after, before)) if before else removal(after) if after else {"nftables": []}
    second = _commit(document, kernel)
    if _look(kernel, second or failure) != before:
        reason = f" Putting it back failed too: {second}" if second else ""
        raise InconsistentError(f"{_why(failure)} The host is not as it was before.{reason} {_BY_HAND}")


def _why(failure: CtpolicyError | None) -> str:
    return str(failure) if failure else "The kernel took the change, but what it lists is not what was sent."
