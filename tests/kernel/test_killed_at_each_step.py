"""ctpolicy is killed at each step of a change of a real kernel, and `recover` ends with the old rules or the new ones.

A child of ours runs the protocol with a door that kills it, by SIGKILL, at one call: before it, or when it is done. Or
it is killed at one of the steps by which it writes down what it does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from apply.machine import NEW, OLD
from ctpolicy.apply.place import Place
from ctpolicy.apply.protocol import Doors, Order, apply
from ctpolicy.apply.recovery import recover
from ctpolicy.apply.state import State
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.netfilter.backend import Backend, Host
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.host import NftablesHost
from ctpolicy.nftables.kernel import Libnftables
from ctpolicy.plan.plan import Plan
from kernel.namespace import Namespace
from kernel.nft_commands import NftProgram

pytestmark = pytest.mark.kernel

BACKENDS: Final[tuple[Backend[Any], ...]] = (NFTABLES, *(IptablesBackend(variant) for variant in Variant))
CHANGES: Final = {"commit", "restore", "restore_sets"}
each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
all_calls_too = pytest.mark.parametrize(
    "counted", [pytest.param(CHANGES, id="changes"), pytest.param(set(), id="all calls", marks=pytest.mark.soak)]
)


@pytest.fixture(autouse=True)
def _nothing_is_flushed_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes die here, but no power fails; and waiting for the disk would take most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Deadly:
    """A door that kills this process at a call.

    Args:
        door: the real one.
        counted: the names of calls that are counted; all, if there are none.
        number: at which of them.
        done: whether it is made before that.
    """

    def __init__(self, door: Any, counted: set[str], number: int, done: bool) -> None:
        self._door, self._counted, self._left, self._done = door, counted, number, done

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._door, name)

        def made(*arguments: Any) -> Any:
            self._left -= name in self._counted or not self._counted
            if self._left != 0:
                return call(*arguments)
            if self._done:
                call(*arguments)
            return os.kill(os.getpid(), signal.SIGKILL)

        return made


class Killings:
    """A scratch namespace in which changes are killed.

    Args:
        door: to its kernel.
        backend: whose rules are changed.
        directory: for what is remembered.
    """

    def __init__(self, door: Any, backend: Backend[Any], directory: Path) -> None:
        self._door = door
        self._backend = backend
        self._directory = directory
        self.old, self.new = backend.compile(OLD), backend.compile(NEW)

    @property
    def state(self) -> State:
        return State(Place(self._directory / "state", self._directory / "lock"))

    def host(self, door: Any = None) -> Host[Any]:
        door = self._door if door is None else door
        return (
            IptablesHost(door, self._backend.variant)
            if isinstance(self._backend, IptablesBackend)
            else NftablesHost(door)
        )

    def doors(self, door: Any = None) -> Doors[Any]:
        return Doors(self.host(door), self.state, lambda _: True, lambda _: None)

    def change(self, desired: Any, door: Any = None) -> None:
        doors = self.doors(door)
        order: Order[Any] = Order("apply", lambda _: True)
        apply(lambda: Plan(self._backend, "tested", doors.host.read(), desired), order, doors)

    def make_old(self) -> None:
        host = self.host()
        live = host.read()
        if live != self.old:
            host.change(live, self.old)

    def recover(self) -> list[str]:
        return recover(self.state, lambda _: (self._backend, self.doors()))

    def ends_well(self, desired: Any) -> Any:
        """Recover in a new process, as this one is; what is live then."""
        told = self.recover()
        live = self.host().read()
        assert live in (self.old, desired)
        assert not [change for change in self.state.changes() if change.is_open]
        if told:
            assert ("is kept" in told[0]) == (live == desired), told
        return live


def was_killed(run: Callable[[], object]) -> bool:
    """Run something in a child of ours; whether it was killed, and not through."""
    child = os.fork()
    if child == 0:
        try:
            run()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "see what it printed"
    return False


def real_door(namespace: Namespace, backend: Backend[Any]) -> Any:
    return IptablesTools(namespace.path) if isinstance(backend, IptablesBackend) else Libnftables(namespace.path)


@each_backend
@all_calls_too
@pytest.mark.parametrize("command", ["apply", "remove"])
def test_killed_at_a_call(
    command: str, counted: set[str], backend: Backend[Any], namespace: Namespace, tmp_path: Path
) -> None:
    door = real_door(namespace, backend)
    scene = Killings(door, backend, tmp_path)
    desired = scene.new if command == "apply" else None
    ends: list[Any] = []
    for number in range(1, 100):
        for done in (False, True) if number == 1 or not counted else (True,):
            scene.make_old()
            if not was_killed(lambda: scene.change(desired, Deadly(door, counted, number, done))):  # noqa: B023
                assert number > 1
                assert scene.host().read() == desired
                assert {end == desired for end in ends} == {False, True}
                return
            ends.append(scene.ends_well(desired))
    raise AssertionError("it never comes to an end")


@each_backend
def test_after_it_was_killed_it_can_simply_be_run_again(
    backend: Backend[Any], namespace: Namespace, tmp_path: Path
) -> None:
    door = real_door(namespace, backend)
    scene = Killings(door, backend, tmp_path)
    scene.make_old()
    assert was_killed(lambda: scene.change(scene.new, Deadly(door, CHANGES, 2, True)))
    scene.change(scene.new)
    assert scene.host().read() == scene.new
    assert scene.recover() == []


STEPS: Final = ("ftruncate", "link", "mkdir", "open", "pwrite", "rename", "rmdir", "unlink")
"""By which what is on the disk changes; of `open` only what makes a file."""


def deadly_files(number: int) -> None:
    """From now on this process dies before the step of this number."""
    left = iter(range(number, 0, -1))

    def deadly(step: Callable[..., Any]) -> Callable[..., Any]:
        def taken(*arguments: Any, **named: Any) -> Any:
            changes = step is not opened or arguments[1] & os.O_CREAT
            if changes and next(left) == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **named)

        return taken

    opened = os.open
    for name in STEPS:
        setattr(os, name, deadly(getattr(os, name)))


def test_killed_at_each_step_of_what_is_written_down(namespace: Namespace, tmp_path: Path) -> None:
    scene = Killings(NftProgram(namespace), NFTABLES, tmp_path)
    scene.change(scene.old)
    ends = []

    def run(number: int) -> None:
        deadly_files(number)
        scene.change(scene.new)

    for number in range(1, 500):
        scene.make_old()
        if not was_killed(lambda: run(number)):  # noqa: B023
            break
        ends.append(scene.ends_well(scene.new) == scene.new)
        confirmed = scene.state.confirmed(NFTABLES.name)
        assert confirmed is not None
        assert confirmed.own == NFTABLES.written(compile_policy(NEW)) or not ends[-1]
    assert len(ends) > 15
    assert sorted(ends) == ends
    assert {*ends} == {False, True}
    assert all(kept.name.isdecimal() for kept in (tmp_path / "state/changes").iterdir())


SLOW: Final = """
import pathlib, runpy, sys, time
started = sys.argv.pop(1)
if sys.argv[1] == "run":
    pathlib.Path(started).touch()
    time.sleep(1.5)
runpy.run_module("ctpolicy.nftables.worker", run_name="__main__")
"""
"""The child of libnftables, which says when it is there and then takes its time."""


def test_nobody_looks_at_the_host_while_a_tool_of_one_that_was_killed_still_runs(
    namespace: Namespace, tmp_path: Path
) -> None:
    """`recover` found that nothing had been changed, and then the child that had been left behind changed it."""
    started = tmp_path / "started"
    slow = Libnftables(namespace.path, worker=(sys.executable, "-I", "-c", SLOW, str(started)))
    scene = Killings(Libnftables(namespace.path), NFTABLES, tmp_path)
    child = os.fork()
    if child == 0:
        scene.change(scene.new, slow)
        os._exit(0)
    wait_for(started.exists)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert scene.host().read() is None
    assert "was done; it is kept" in scene.recover()[0]
    assert scene.host().read() == scene.new


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
