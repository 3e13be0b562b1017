"""A review asks the real kernel: it agrees where nothing is broken, and shows what is; the host is left alone."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import subprocess
import traceback
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.oracle import asking
from ctpolicy.oracle.asking import Answer, NftablesQuestion, NotAsked, Question, ask
from ctpolicy.oracle.namespace import NamespaceUnavailableError
from ctpolicy.review.kernel import ask_kernel
from ctpolicy.review.review import Check, Result
from kernel.namespace import make_namespace, skip_but_for_ci
from policies import METRICS, VXLAN, policy

pytestmark = pytest.mark.kernel

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "kubernetes-node.yaml"


def here(policy: Policy, packets: int, ask: Callable[[Question], Answer] = ask) -> list[Check]:
    make_namespace().close()  # or the reason why there is none
    return ask_kernel(policy, packets, ask=ask)


def test_the_kernel_does_what_an_example_means() -> None:
    checks = here(load_files([EXAMPLE]), 500)
    assert [check.result for check in checks] == [Result.HELD] * 3, checks
    assert all(check.told.startswith("500 packets, ") for check in checks)


def test_a_table_that_is_broken_is_seen() -> None:
    def broken(question: Question) -> Answer:
        if not isinstance(question, NftablesQuestion):
            return NotAsked("not now")
        return ask(
            replace(question, text=question.text.replace("4789", "4790"), json=question.json.replace("4789", "4790"))
        )

    check = here(policy(VXLAN), 300, broken)[0]
    assert check.result is Result.BROKEN
    assert "otherwise than they were sent" in check.remarks[0].message
    witness = check.remarks[1].witness
    assert witness is not None
    assert witness.destination_port in {4789, 4790}


def test_a_table_that_the_kernel_refuses_is_an_error() -> None:
    def refused(question: Question) -> Answer:
        if not isinstance(question, NftablesQuestion):
            return NotAsked("not now")
        return ask(replace(question, text=question.text.replace("priority -300", "priority no")))

    check = here(policy(VXLAN), 10, refused)[0]
    assert (check.result, check.told) == (Result.BROKEN, "refused")


def test_the_hosts_own_ruleset_is_left_alone() -> None:
    def ruleset() -> str:
        return subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True, check=False).stdout

    before = ruleset(), Path("/proc/self/ns/net").stat().st_ino
    here(policy(METRICS), 50)
    assert (ruleset(), Path("/proc/self/ns/net").stat().st_ino) == before


def test_without_a_namespace_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NamespaceUnavailableError("Operation not permitted")

    monkeypatch.setattr(asking, "_leave", none)
    checks = ask_kernel(policy(VXLAN), 10)
    assert {check.result for check in checks} == {Result.NOT_ASKED}
    assert checks[0].told == "no scratch network namespace can be had: Operation not permitted"


def test_a_child_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_leave", lambda: os._exit(7))
    (check, *_) = ask_kernel(policy(VXLAN), 10)
    assert (check.result, check.told) == (Result.NOT_ASKED, "the child that asks the kernel died (status 7)")


def test_an_ordinary_user_asks_too() -> None:
    """In a user namespace of its own: in a process that has become somebody else."""
    reason, answer = as_nobody(lambda: ask_kernel(policy(VXLAN), 200)[0])
    assert answer is not None, reason
    if answer.result is Result.NOT_ASKED:
        skip_but_for_ci(answer.told)
    assert answer.result is Result.HELD, answer


import_module("multiprocessing.popen_fork")  # which who is nobody may not read where Python stands in a home


def as_nobody(make: Callable[[], Check]) -> tuple[str, Check | None]:
    """What a function gives to a process without privilege, or how it failed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.chdir("/")
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: /proc/self is its own, as a user's is
            given = pickle.dumps(("", make()))
        except BaseException:
            given = pickle.dumps((traceback.format_exc(), None))
        os.write(writer, given)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        found: tuple[str, Check | None] = pickle.loads(answers.read())
    os.waitpid(child, 0)
    return found


def test_json_is_asked_in_the_other_world() -> None:
    """The text is right and the JSON is not: packets that are passed on show it."""

    def broken(question: Question) -> Answer:
        if not isinstance(question, NftablesQuestion):
            return NotAsked("not now")
        document = json.loads(question.json)
        document["nftables"] = [command for command in document["nftables"] if _chain(command) != "output"]
        return ask(replace(question, json=json.dumps(document)))

    check = here(policy(VXLAN), 300, broken)[0]
    assert check.result is Result.BROKEN


def _chain(command: dict[str, dict[str, dict[str, str]]]) -> str | None:
    return command.get("add", {}).get("rule", {}).get("chain")
