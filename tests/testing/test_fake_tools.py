"""The fake fails where it is told to, before or after the change, and remembers what it was asked."""

from __future__ import annotations

import pytest

from ctpolicy.errors import DeadlineError, HostError, KernelCrashError
from ctpolicy.iptables.kernel import Tools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.fake_tools import Change, FakeTools

FIRST, SECOND = "*raw\n:FIRST - [0:0]\nCOMMIT\n", "*raw\n:SECOND - [0:0]\nCOMMIT\n"


def test_the_fake_is_one_of_the_tools() -> None:
    tools: Tools = FakeTools()
    assert tools.save(Variant.NFT, Family.IPV4) is None
    assert tools.sets() == ""


@pytest.mark.parametrize("done", [False, True])
def test_a_change_fails_where_it_is_told_to(done: bool) -> None:
    tools = FakeTools()
    tools.fail_at_change(2, KernelCrashError("It died."), done=done)
    tools.restore(Variant.NFT, Family.IPV4, FIRST)
    with pytest.raises(KernelCrashError):
        tools.restore(Variant.NFT, Family.IPV6, SECOND)
    assert (tools.save(Variant.NFT, Family.IPV6) is not None) is done
    tools.restore_sets("create peers hash:net\n")
    assert tools.changes == [
        Change(Variant.NFT, Family.IPV4, FIRST),
        Change(Variant.NFT, Family.IPV6, SECOND),
        Change(None, None, "create peers hash:net\n"),
    ]


def test_the_fake_can_go_blind() -> None:
    tools = FakeTools()
    tools.go_blind(DeadlineError("No answer."))
    with pytest.raises(DeadlineError):
        tools.save(Variant.LEGACY, Family.IPV4)
    with pytest.raises(DeadlineError):
        tools.sets()


def test_a_fake_host_without_ipset_has_none() -> None:
    tools = FakeTools(with_ipset=False)
    assert tools.sets() is None
    with pytest.raises(HostError):
        tools.restore_sets("create peers hash:net\n")
    assert tools.changes == []


def test_the_fake_refuses_what_the_door_refuses() -> None:
    with pytest.raises(ValueError, match="not a change of ours"):
        FakeTools().restore(Variant.NFT, Family.IPV4, "*raw\n:OUTPUT DROP [0:0]\nCOMMIT\n")
