"""Failures of a door to the kernel, call by call, for tests of what stands above it.

Whichever call fails, and in whichever way, a host is to end as it was, as planned, or be said to be neither:

    for number in range(1, len(undisturbed.calls) + 1):
        for error, done in ways_to_fail().values():
            kernel = FakeLibnftables()
            kernel.fail_at(number, error, done)
            ...
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Self, TypeVar

from ctpolicy.errors import CtpolicyError, DeadlineError, HostError, KernelCrashError, LockError, RefusedError

Answer = TypeVar("Answer")

Way = tuple[BaseException, bool]
"""What a call raises, and whether what it was to do was done."""


class Killed(BaseException):
    """The process that made the call ends there, as by SIGKILL. Only a test may catch it.

    No `finally` of a killed process runs: from then on each call raises InDeadProcessError, until the door is told that
    a new process is there (`FailingDoor.start_again`).
    """


class InDeadProcessError(AssertionError):
    """A process that had been killed called once more: it caught what nobody can catch, or cleaned up behind it."""


def ways_to_fail() -> dict[str, Way]:
    """Every way in which a call can fail, by name, each with an error of its own."""
    return {
        "refused": (RefusedError("It said no."), False),
        "refused though done": (RefusedError("It said no."), True),
        "lacks": (HostError("This kernel lacks what it takes: modprobe it."), False),
        "locked": (LockError("Another held the lock."), False),
        "crashed": (KernelCrashError("It died."), False),
        "crashed when done": (KernelCrashError("It died."), True),
        "hung": (DeadlineError("It did not end."), False),
        "hung when done": (DeadlineError("It did not end."), True),
        "killed": (Killed(), False),
        "killed when done": (Killed(), True),
    }


class FailingDoor:
    """A door that fails where it is told to. The fakes are such.

    `calls` has the name of each call so far, failed ones too, and `changing` the numbers of those that change
    something; the first call is number 1.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.changing: list[int] = []
        self._failures: dict[int, Way] = {}
        self._change_failures: dict[int, Way] = {}
        self._unreadable: CtpolicyError | None = None
        self._is_dead = False

    def fail_at(self, number: int, error: BaseException, done: bool = False) -> None:
        """Let a call fail.

        Args:
            number: which one, counted from 1 and from the first call ever made, whether it reads or changes.
            error: what it raises: a CtpolicyError as the real door does, or Killed.
            done: whether what it was to do is done all the same, as by a tool that is killed when it was through.
        """
        self._failures[number] = error, done

    def fail_at_change(self, number: int, error: BaseException, done: bool = False) -> None:
        """Let a change fail; as `fail_at`, but only calls that change something are counted."""
        self._change_failures[number] = error, done

    def go_blind(self, error: CtpolicyError) -> None:
        """From now on nothing can be read."""
        self._unreadable = error

    def start_again(self) -> None:
        """A new process is there, after one that was Killed; nothing that was to fail fails any longer."""
        self._is_dead = False
        self._failures.clear()
        self._change_failures.clear()
        self._unreadable = None

    def undisturbed(self) -> Self:
        """A door to what is there now, to look with: it counts for itself, and nothing fails."""
        other = copy.copy(self)
        FailingDoor.__init__(other)
        return other

    def _read(self, name: str, look: Callable[[], Answer]) -> Answer:
        """Make a call that only reads."""
        self._count(name)
        error, _ = self._failures.get(len(self.calls), (self._unreadable, False))
        if error:
            self._raise(error)
        return look()

    def _change(self, name: str, carry_out: Callable[[], None]) -> None:
        """Make a call that changes something."""
        self._count(name)
        self.changing.append(len(self.calls))
        by_change = self._change_failures.get(len(self.changing), (None, True))
        error, done = self._failures.get(len(self.calls), by_change)
        if done:
            carry_out()
        if error:
            self._raise(error)

    def _count(self, name: str) -> None:
        if self._is_dead:
            raise InDeadProcessError(f"{name} was called by a process that had been killed.")
        self.calls.append(name)

    def _raise(self, error: BaseException) -> None:
        self._is_dead = isinstance(error, Killed)
        raise error
