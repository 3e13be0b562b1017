"""Commit, verify, put back, against a kernel that fails in every way: the old state, the new, or exit status 4."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ctpolicy.apply.commit import commit_plan
from ctpolicy.errors import (
    CtpolicyError,
    DeadlineError,
    HostError,
    InconsistentError,
    KernelCrashError,
    LockError,
    NotAppliedError,
    RefusedError,
)
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.render_json import Json
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.plan import Plan, plan_policy, plan_removal
from policies import METRICS, VXLAN, policy, table

OLD, NEW, NEITHER = table(VXLAN), table(METRICS), table("bypass: [{name: web, host-service: tcp/80}]")

Happening = Callable[["ScriptedKernel"], None]


class ScriptedKernel:
    """A kernel to which, at each commit, the next of its happenings happens."""

    def __init__(self, live: Table | None, *happenings: Happening) -> None:
        self.live = live
        self.unreadable = False
        self._happenings = list(happenings)
        self.commits: list[Json] = []

    def read(self) -> Table | None:
        if self.unreadable:
            raise HostError("Cannot read.")
        return self.live

    def change(self, live: Table | None, desired: Table | None) -> None:
        self.commits.append(NFTABLES.document(live, desired))
        self._happenings.pop(0)(self)


def becomes(after: Table | None, failure: CtpolicyError | None = None) -> Happening:
    """The live table becomes this one, and then the call fails, if there is a failure."""

    def happen(kernel: ScriptedKernel) -> None:
        kernel.live = after
        if failure:
            raise failure

    return happen


def stays(failure: CtpolicyError | None = None) -> Happening:
    """Nothing changes."""

    def happen(_: ScriptedKernel) -> None:
        if failure:
            raise failure

    return happen


def goes_blind(kernel: ScriptedKernel) -> None:
    kernel.unreadable = True


CRASH, HANG, REFUSAL = KernelCrashError("It died."), DeadlineError("It hung."), RefusedError("It said no.")


def _plan() -> Plan[Table]:
    return plan_policy(NFTABLES, policy(METRICS), OLD)


def test_a_plan_is_carried_out_in_one_commit() -> None:
    kernel = ScriptedKernel(OLD, becomes(NEW))
    commit_plan(_plan(), kernel)
    assert kernel.commits == [_plan().document()]


def test_nothing_to_do_commits_nothing_and_reads_nothing() -> None:
    kernel = ScriptedKernel(NEW)
    kernel.unreadable = True
    commit_plan(plan_policy(NFTABLES, policy(METRICS), NEW), kernel)
    assert not kernel.commits


@pytest.mark.parametrize("failure", [CRASH, HANG])
def test_a_commit_that_succeeded_although_the_child_died_is_done(failure: CtpolicyError) -> None:
    commit_plan(_plan(), ScriptedKernel(OLD, becomes(NEW, failure)))


@pytest.mark.parametrize("failure", [CRASH, HANG, REFUSAL, None])
def test_a_commit_that_did_nothing_is_told_as_not_applied(failure: CtpolicyError | None) -> None:
    kernel = ScriptedKernel(OLD, stays(failure))
    with pytest.raises(NotAppliedError, match="read again and is as it was") as told:
        commit_plan(_plan(), kernel)
    assert told.value.exit_status == 3
    assert kernel.live == OLD


@pytest.mark.parametrize("failure", [CRASH, HANG, None])
def test_a_commit_that_did_something_else_is_put_back(failure: CtpolicyError | None) -> None:
    kernel = ScriptedKernel(OLD, becomes(NEITHER, failure), becomes(OLD))
    with pytest.raises(NotAppliedError, match="read again and is as it was"):
        commit_plan(_plan(), kernel)
    assert len(kernel.commits) == 2


@pytest.mark.parametrize("second", [stays(CRASH), stays(HANG), stays(REFUSAL), stays(), becomes(NEW)])
def test_a_host_that_could_not_be_put_back_is_told_as_inconsistent(second: Happening) -> None:
    with pytest.raises(InconsistentError, match="nft delete table inet ctpolicy") as told:
        commit_plan(_plan(), ScriptedKernel(OLD, becomes(NEITHER), second))
    assert told.value.exit_status == 4


def test_a_put_back_that_crashed_but_worked_is_believed_once_it_was_looked_at() -> None:
    with pytest.raises(NotAppliedError):
        commit_plan(_plan(), ScriptedKernel(OLD, becomes(NEITHER), becomes(OLD, CRASH)))


def test_a_host_that_cannot_be_read_again_is_inconsistent() -> None:
    with pytest.raises(InconsistentError, match="could not be read again"):
        commit_plan(_plan(), ScriptedKernel(OLD, goes_blind))


def test_a_first_apply_that_went_wrong_leaves_no_table() -> None:
    kernel = ScriptedKernel(None, becomes(NEITHER), becomes(None))
    with pytest.raises(NotAppliedError):
        commit_plan(plan_policy(NFTABLES, policy(METRICS), None), kernel)
    assert list(kernel.commits[1]["nftables"][0]) == ["delete"]


@pytest.mark.parametrize("cause", [HostError("Run this as root."), LockError("Another holds the lock.")])
def test_what_callers_can_mend_is_told_as_such_once_the_host_was_looked_at(cause: CtpolicyError) -> None:
    with pytest.raises(CtpolicyError, match=f"{cause} The host was read again and is as it was") as told:
        commit_plan(_plan(), ScriptedKernel(OLD, stays(cause)))
    assert type(told.value) is type(cause)


@pytest.mark.parametrize("cause", [HostError("Run this as root."), LockError("Another holds the lock.")])
def test_a_cause_in_the_midst_of_a_change_is_no_reason_to_leave_it_half_done(cause: CtpolicyError) -> None:
    """A host that lacked `xt_CT` was left with the ipsets that had been made first, and exit status 5."""
    kernel = ScriptedKernel(OLD, becomes(NEITHER, cause), becomes(OLD))
    with pytest.raises(type(cause), match="is as it was"):
        commit_plan(_plan(), kernel)
    assert kernel.live == OLD
    with pytest.raises(InconsistentError, match=str(cause)):
        commit_plan(_plan(), ScriptedKernel(OLD, becomes(NEITHER, cause), stays(REFUSAL)))


def test_a_removal_that_left_the_table_is_not_applied() -> None:
    with pytest.raises(NotAppliedError):
        commit_plan(plan_removal(NFTABLES, OLD), ScriptedKernel(OLD, stays(REFUSAL)))
