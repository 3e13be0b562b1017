"""Sources are asked each by itself: what one cannot tell, or not in time, hides nothing of the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ctpolicy.errors import DeadlineError, HostError
from ctpolicy.metrics.gathering import Failure, Gathered, Gathering, Told
from ctpolicy.metrics.metric import gauge, one

FINE = gauge("fine", "All is well.", (), one(1))


def fine() -> Iterator[Told]:
    yield FINE


def errors(gathered: Gathered) -> dict[str, float]:
    """The parts that have failed."""
    (metric,) = [metric for metric in gathered.metrics if metric.name == "ctpolicy_scrape_error"]
    return {sample.labels[0]: sample.value for sample in metric.samples}


def test_a_source_that_fails_is_a_metric_and_hides_nothing() -> None:
    def broken() -> Iterator[Told]:
        yield gauge("half", "Told before it failed.", (), one(1))
        raise HostError("There is no nft here.")

    gathered = Gathering({"rules": broken, "table": fine}, ["rules", "table"]).gather()
    assert FINE in gathered.metrics
    assert "ctpolicy_half" in {metric.name for metric in gathered.metrics}
    assert errors(gathered) == {"rules": 1, "table": 0}
    (failure,) = gathered.failures
    assert (failure.part, str(failure.error)) == ("rules", "There is no nft here.")


def test_a_part_of_a_source_fails_alone() -> None:
    def partly() -> Iterator[Told]:
        yield Failure("drift", HostError("The state is damaged."))
        yield FINE

    gathered = Gathering({"rules": partly}, ["rules", "drift"]).gather()
    assert FINE in gathered.metrics
    assert errors(gathered) == {"rules": 0, "drift": 1}


def test_a_bug_in_a_source_hides_nothing_either() -> None:
    def buggy() -> Iterator[Told]:
        raise ZeroDivisionError

    gathered = Gathering({"rules": buggy, "table": fine}, ["rules", "table"]).gather()
    assert FINE in gathered.metrics
    assert isinstance(gathered.failures[0].error, ZeroDivisionError)


def test_what_hangs_is_left_and_not_asked_again_before_it_has_ended() -> None:
    asked, may_end = [], threading.Event()

    def hangs() -> Iterator[Told]:
        asked.append(1)
        may_end.wait(20)
        yield gauge("late", "Told late.", (), one(1))

    gathering = Gathering({"rules": hangs, "table": fine}, ["rules", "table"], seconds=0.2)
    began = time.monotonic()
    for _ in range(2):
        gathered = gathering.gather()
        assert FINE in gathered.metrics
        assert errors(gathered) == {"rules": 1, "table": 0}
    assert time.monotonic() - began < 5
    assert len(asked) == 1, "it was asked again while it hung"
    may_end.set()
    time.sleep(0.1)
    assert errors(gathering.gather()) == {"rules": 0, "table": 0}


def test_the_host_is_read_for_one_at_a_time_and_nobody_waits_for_ever() -> None:
    at_it, most, lock = 0, 0, threading.Lock()

    def slow() -> Iterator[Told]:
        nonlocal at_it, most
        with lock:
            at_it += 1
            most = max(most, at_it)
        time.sleep(0.3)
        with lock:
            at_it -= 1
        yield FINE

    gathering = Gathering({"rules": slow}, ["rules"], seconds=0.5)
    outcomes: list[str] = []

    def scrape() -> None:
        try:
            outcomes.append("told" if FINE in gathering.gather().metrics else "missed")
        except DeadlineError:
            outcomes.append("refused")

    threads = [threading.Thread(target=scrape) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 1
    assert len(outcomes) == 6
    assert set(outcomes) == {"told", "refused"}


def test_a_part_that_was_not_declared_is_a_bug() -> None:
    def unknown() -> Iterator[Told]:
        yield Failure("weather", HostError("It rains."))

    with pytest.raises(AssertionError, match="weather"):
        Gathering({"rules": unknown}, ["rules"]).gather()
