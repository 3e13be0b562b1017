"""Readings that are taken again and again: however slow, they keep nobody waiting, and a bug in them is told."""

from __future__ import annotations

import threading
import time

import pytest

from ctpolicy.cli.repeated import Repeated


def test_each_is_had_once() -> None:
    made, called = iter(range(3)), threading.Semaphore(0)
    with Repeated(lambda: next(made, -1), 0.01, called.release, time.monotonic) as repeated:
        for _ in range(3):
            called.acquire(timeout=5)
        found: list[int] = []
        while len(found) < 3:
            found += [one for one in repeated if one >= 0]
    assert found == [0, 1, 2]


def test_a_slow_one_keeps_nobody_from_ending() -> None:
    may_end, began = threading.Event(), time.monotonic()
    with Repeated(lambda: may_end.wait(20), 0.01, lambda: None, time.monotonic) as repeated:
        assert list(repeated) == []
    assert time.monotonic() - began < 5
    may_end.set()


@pytest.mark.parametrize(("takes", "rests"), [(0.0, 2.0), (0.5, 1.5), (3.0, 3.0)])
def test_the_host_is_read_half_of_the_time_at_most(takes: float, rests: float, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    now = 0.0

    def make() -> None:
        nonlocal now
        now += takes

    def wait(self: threading.Event, seconds: float | None = None) -> bool:
        waited.append(seconds or 0)
        self.set()
        return True

    repeated = Repeated(make, 2.0, lambda: None, lambda: now)
    monkeypatch.setattr(threading.Event, "wait", wait)
    repeated._run()
    assert waited == [rests]


def test_a_bug_is_raised_where_it_is_told() -> None:
    def buggy() -> int:
        raise ZeroDivisionError

    called = threading.Event()
    with Repeated(buggy, 0.01, called.set, time.monotonic) as repeated:
        assert called.wait(5)
        with pytest.raises(ZeroDivisionError):
            list(repeated)
