"""The fake of nf_tables fails where it is told to, at reads and at changes, and knows when its process is dead."""

from __future__ import annotations

import pytest

from ctpolicy.errors import CtpolicyError, DeadlineError, HostError, KernelCrashError
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.kernel import Kernel
from ctpolicy.nftables.render_json import load_document
from ctpolicy.testing.failures import InDeadProcessError, Killed, ways_to_fail
from ctpolicy.testing.fake_nftables import FakeLibnftables
from policies import METRICS, VXLAN, table

OLD, NEW = load_document(table(VXLAN)), load_document(table(METRICS))


def test_the_fake_is_a_kernel() -> None:
    kernel: Kernel = FakeLibnftables()
    assert kernel.table_listing() == ""
    kernel.commit(OLD)
    assert NftablesHost(kernel).read() == table(VXLAN)


@pytest.mark.parametrize("way", ways_to_fail())
def test_a_change_fails_in_each_way_where_it_is_told_to(way: str) -> None:
    kernel = FakeLibnftables()
    error, done = ways_to_fail()[way]
    kernel.fail_at(3, error, done)
    kernel.commit(OLD)
    kernel.listing()
    with pytest.raises(type(error)):
        kernel.commit(NEW)
    assert kernel.calls == ["commit", "listing", "commit"]
    assert kernel.changing == [1, 3]
    assert kernel.documents == [OLD, NEW]
    assert NftablesHost(kernel.undisturbed()).read() == table(METRICS if done else VXLAN)


def test_a_read_fails_where_it_is_told_to_and_only_there() -> None:
    kernel = FakeLibnftables()
    kernel.fail_at(2, DeadlineError("No answer."))
    kernel.listing()
    with pytest.raises(DeadlineError):
        kernel.table_listing()
    kernel.table_listing()


def test_changes_can_be_counted_alone() -> None:
    kernel = FakeLibnftables()
    kernel.fail_at_change(2, KernelCrashError("It died."))
    kernel.commit(OLD)
    kernel.listing()
    with pytest.raises(KernelCrashError):
        kernel.commit(NEW)


def test_the_fake_can_go_blind() -> None:
    kernel = FakeLibnftables()
    kernel.go_blind(HostError("Nothing can be read."))
    kernel.commit(OLD)
    with pytest.raises(HostError):
        kernel.table_listing()


def test_a_process_that_was_killed_makes_no_more_calls() -> None:
    """As one would that catches everything, or has a `finally` that cleans up."""
    kernel = FakeLibnftables()
    kernel.fail_at(1, Killed(), done=True)
    with pytest.raises(InDeadProcessError):
        try:
            kernel.commit(OLD)
        finally:
            kernel.table_listing()
    kernel.start_again()
    assert NftablesHost(kernel).read() == table(VXLAN)


def test_nobody_catches_being_killed_by_accident() -> None:
    assert not issubclass(Killed, Exception)
    assert all(isinstance(error, CtpolicyError | Killed) for error, _ in ways_to_fail().values())


def test_who_looks_does_not_count() -> None:
    kernel = FakeLibnftables()
    kernel.commit(OLD)
    kernel.fail_at(2, DeadlineError("No answer."))
    assert NftablesHost(kernel.undisturbed()).read() == table(VXLAN)
    assert kernel.calls == ["commit"]
    with pytest.raises(DeadlineError):
        kernel.table_listing()
