"""Each call of a change fails in each way, and the host is as planned, as it was to the byte, or said to be neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.failures import SetsRefusedError
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.language.policy import Policy
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.plan import Plan, plan_policy, plan_removal
from ctpolicy.testing.fake_tools import FakeTools
from policies import policy

VARIANT: Final = Variant.LEGACY
BACKEND: Final = IptablesBackend(VARIANT)

OLD: Final = policy("""
groups: {nodes: [10.0.0.0/24, 10.0.2.0/24, "fd00:7::/64"], gone: [192.0.2.1, 192.0.2.9, "fd00:8::/64"]}
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
  - {name: old, ports: udp/4000, paths: [in, out]}
  - {name: dns, host-service: udp/53, peers: gone}
""")
NEW: Final = policy("""
groups: {nodes: [10.0.0.0/24, 10.0.4.0/24, "fd00:9::/64"], come: [198.51.100.1, 198.51.100.9, "fd00:a::/64"]}
bypass:
  - {name: vxlan, overlay: vxlan, peers: nodes}
  - {name: new, ports: udp/5000}
  - {name: metrics, host-service: tcp/9100, peers: come}
""")

FOREIGN: Final = """*raw
:OTHERS - [0:0]
[3:300] -A OUTPUT -p tcp -m tcp --dport 80 -j OTHERS
[0:0] -A PREROUTING -j OTHERS
[5:500] -A OTHERS -s 192.0.2.0/24 -j NOTRACK
COMMIT
"""
FOREIGN_V6: Final = FOREIGN.replace("192.0.2.0/24", "2001:db8::/32")

Stage = tuple[Policy | None, Policy | None]
"""What is live before, and what is to be."""

STAGES: Final[dict[str, Stage]] = {
    "a first apply": (None, NEW),
    "a change": (OLD, NEW),
    "a removal": (OLD, None),
    "a jump that others' rules have come before": (OLD, OLD),
}

FAILURES: Final[dict[str, CtpolicyError]] = {
    "refused": RefusedError("It said no."),
    "lacks": HostError("This kernel lacks the iptables extension CT: modprobe xt_CT."),
    "locked": LockError("Another iptables held the lock."),
    "crashed": KernelCrashError("It died."),
    "hung": DeadlineError("It did not end."),
}

TOLD: Final = {
    "refused": (NotAppliedError, 3),
    "lacks": (HostError, 5),
    "locked": (LockError, 6),
    "crashed": (NotAppliedError, 3),
    "hung": (NotAppliedError, 3),
}


class Tools(FakeTools):
    """They may also stop in the midst of what ipset is given: after so many lines of call number so much."""

    def __init__(self) -> None:
        super().__init__()
        self.stops: dict[int, int] = {}

    def restore_sets(self, text: str) -> None:
        lines = self.stops.pop(len(self.changes) + 1, None)
        if lines is None:
            super().restore_sets(text)
            return
        super().restore_sets("".join(text.splitlines(keepends=True)[:lines]))
        raise SetsRefusedError("ipset refused a line. What stood before it was carried out.")


def staged(stage: str) -> tuple[Tools, IptablesHost, Plan[RawTables]]:
    """A host with others' rules and the policy from before, with what its rules have counted, and the plan."""
    before, after = STAGES[stage]
    tools = Tools()
    host = IptablesHost(tools, VARIANT)
    for family, text in zip(Family, (FOREIGN, FOREIGN_V6), strict=True):
        tools.restore(VARIANT, family, text)
    tools.restore_sets("create others hash:net family inet\nadd others 192.0.2.1\n")
    if before:
        host.change(None, BACKEND.compile(before))
        for family in Family:
            counted = (tools.save(VARIANT, family) or "").splitlines()
            rules = [f"[7:700] {line[6:]}" for line in counted if line.startswith("[0:0] -A CTPOLICY-")]
            headers = [line for line in counted if line.startswith(":CTPOLICY-")]
            tools.restore(VARIANT, family, "\n".join(["*raw", *headers, *rules, "COMMIT"]))
            if before is after:
                tools.restore(VARIANT, family, "*raw\n-I OUTPUT 1 -p sctp -j OTHERS\nCOMMIT\n")
    live = host.read()
    return tools, host, plan_policy(BACKEND, after, live) if after else plan_removal(BACKEND, live)


def seen(tools: FakeTools) -> list[str]:
    """Every line of the host: counters too, and each rule in its place."""
    tables = [line for family in Family for line in (tools.save(VARIANT, family) or "").splitlines()]
    return [*tables, *sorted((tools.sets() or "").splitlines())]


def calls(stage: str) -> int:
    """How many calls carry the plan out."""
    tools, host, plan = staged(stage)
    before = len(tools.changes)
    commit_plan(plan, host)
    return len(tools.changes) - before


CASES: Final = [(stage, number) for stage in STAGES for number in range(1, calls(stage) + 1)]


def test_each_kind_of_call_is_among_those_that_fail() -> None:
    assert [calls(stage) for stage in STAGES] == [3, 4, 3, 2]


@pytest.mark.parametrize(("stage", "number"), CASES)
@pytest.mark.parametrize("failure", FAILURES)
def test_what_was_done_before_a_failure_is_put_back(stage: str, number: int, failure: str) -> None:
    tools, host, plan = staged(stage)
    before = seen(tools)
    tools.fail_at_change(len(tools.changes) + number, FAILURES[failure])
    with pytest.raises(CtpolicyError, match=r"read again and is as it was before") as told:
        commit_plan(plan, host)
    assert (type(told.value), told.value.exit_status) == TOLD[failure]
    assert str(FAILURES[failure]) in str(told.value)
    assert seen(tools) == before


@pytest.mark.parametrize(("stage", "number"), CASES)
@pytest.mark.parametrize("failure", ["crashed", "hung"])
def test_a_call_that_died_when_it_was_through(stage: str, number: int, failure: str) -> None:
    tools, host, plan = staged(stage)
    before = seen(tools)
    tools.fail_at_change(len(tools.changes) + number, FAILURES[failure], done=True)
    if number == calls(stage):
        commit_plan(plan, host)
        assert host.read() == plan.desired
        return
    with pytest.raises(NotAppliedError, match="read again and is as it was before"):
        commit_plan(plan, host)
    assert seen(tools) == before


def partial_calls() -> Iterator[tuple[str, int, int]]:
    """Each place in the midst of each call of ipset."""
    for stage in STAGES:
        tools, host, plan = staged(stage)
        before = len(tools.changes)
        commit_plan(plan, host)
        for number, change in enumerate(tools.changes[before:], start=1):
            if change.family is None:
                yield from ((stage, number, lines) for lines in range(len(change.text.splitlines())))


@pytest.mark.parametrize(("stage", "number", "lines"), list(partial_calls()))
def test_what_ipset_did_before_it_refused_a_line_is_undone(stage: str, number: int, lines: int) -> None:
    tools, host, plan = staged(stage)
    before = seen(tools)
    tools.stops[len(tools.changes) + number] = lines
    with pytest.raises(NotAppliedError, match="read again and is as it was before"):
        commit_plan(plan, host)
    assert seen(tools) == before


@pytest.mark.parametrize(("stage", "number"), CASES)
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("second", [1, 2, 3])
def test_a_host_is_never_said_to_be_put_back_that_is_not(stage: str, number: int, failure: str, second: int) -> None:
    tools, host, plan = staged(stage)
    before = seen(tools)
    first = len(tools.changes) + number
    tools.fail_at_change(first, FAILURES["refused"])
    tools.fail_at_change(first + second, FAILURES[failure])
    with pytest.raises(CtpolicyError) as told:
        commit_plan(plan, host)
    assert (host.read() == plan.live) == (seen(tools) == before)
    if seen(tools) == before:
        assert type(told.value) is NotAppliedError
        return
    assert type(told.value) is InconsistentError
    assert told.value.exit_status == 4
    assert "as it was before." not in str(told.value).replace("not as it was before.", "")
    assert str(FAILURES[failure]) in str(told.value)
    assert "ctpolicy remove --backend iptables-legacy" in str(told.value)


@pytest.mark.parametrize("done", [False, True])
def test_a_put_back_that_died_is_looked_at(done: bool) -> None:
    tools, host, plan = staged("a first apply")
    before = seen(tools)
    first = len(tools.changes) + 2
    tools.fail_at_change(first, FAILURES["refused"])
    tools.fail_at_change(first + 1, FAILURES["crashed"], done=done)
    with pytest.raises(NotAppliedError if done else InconsistentError):
        commit_plan(plan, host)
    assert (seen(tools) == before) is done


@pytest.mark.parametrize(("stage", "number"), CASES)
def test_a_host_that_cannot_be_read_again_is_inconsistent(stage: str, number: int) -> None:
    tools, host, plan = staged(stage)
    tools.fail_at_change(len(tools.changes) + number, FAILURES["refused"])
    tools.go_blind(HostError("Nothing can be read."))
    with pytest.raises(
        InconsistentError, match=r"could not be read again: Nothing can be read\..*iptables-legacy-save"
    ):
        commit_plan(plan, host)


def test_an_ipset_of_our_name_that_cannot_be_made_again_is_told_as_gone() -> None:
    """Somebody made it under our prefix with options of his own: it goes with the rest, and is not to be had back."""
    tools, host, _ = staged("a change")
    tools.restore_sets("create ctpolicy-b4-strange hash:net,mark\n")
    plan = plan_removal(BACKEND, host.read())
    tools.fail_at_change(len(tools.changes) + 3, FAILURES["crashed"], done=True)
    commit_plan(plan, host)
    assert host.read() is None


def test_what_cannot_be_put_back_is_said() -> None:
    tools, host, _ = staged("a removal")
    tools.restore_sets("create ctpolicy-b4-aaa hash:net,mark\n")
    plan = plan_removal(BACKEND, host.read())
    tools.stops[len(tools.changes) + 3] = 1
    with pytest.raises(InconsistentError, match="ctpolicy-b4-aaa cannot be made again as it was"):
        commit_plan(plan, host)
