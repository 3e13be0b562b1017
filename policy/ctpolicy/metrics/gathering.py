"""Asking several sources for metrics: each by itself and with a time bound, so that none hides what the others say.

What a source cannot tell is a metric too: `ctpolicy_scrape_error`. A source that does not answer in time keeps the
thread that asked it, and is not asked again before that one has ended; so there is at most one thread a source, and one
reading of the host at a time, however often somebody scrapes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ctpolicy import __version__
from ctpolicy.errors import DeadlineError
from ctpolicy.metrics.metric import Metric, Sample, gauge, one

SECONDS: Final = 8.0
"""For one scrape. Prometheus itself waits 10, if it is not told otherwise."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that could not be told.

    Args:
        part: of what is asked, such as `drift`.
        error: why. What is none of our errors is a bug.
    """

    part: str
    error: Exception


Told = Metric | Failure
Source = Callable[[], Iterable[Told]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the sources have told.

    Args:
        metrics: all of it, with what could not be told as a metric.
        failures: what could not be told, and why.
    """

    metrics: tuple[Metric, ...]
    failures: tuple[Failure, ...]


class Gathering:
    """Asks sources, as often as wanted.

    Args:
        sources: by the part that fails if the whole source does.
        parts: all that may fail, so that each has a sample also while all is well.
        seconds: for one gathering.
    """

    def __init__(self, sources: Mapping[str, Source], parts: Sequence[str], seconds: float = SECONDS) -> None:
        self._asked = [_Asked(part, source) for part, source in sources.items()]
        self._parts = tuple(parts)
        self._seconds = seconds
        self._one_at_a_time = threading.Lock()

    def gather(self) -> Gathered:
        """Ask all of them, at once.

        Raises:
            DeadlineError: somebody else was at it for as long as this may take.
        """
        if not self._one_at_a_time.acquire(timeout=self._seconds):
            raise DeadlineError("The host is being read for somebody else; ask again.")
        try:
            began = time.monotonic()
            for asked in self._asked:
                asked.ask()
            told = [found for asked in self._asked for found in asked.answer(began + self._seconds)]
            return self._together(told, time.monotonic() - began)
        finally:
            self._one_at_a_time.release()

    def _together(self, told: Sequence[Told], seconds: float) -> Gathered:
        failures = tuple(found for found in told if isinstance(found, Failure))
        metrics = tuple(found for found in told if isinstance(found, Metric))
        failed = {failure.part for failure in failures}
        assert failed <= set(self._parts), f"{failed} has a part that is not declared"
        about = (
            gauge(
                "scrape_error",
                "Whether a part of what is asked could not be told.",
                ("part",),
                (Sample((part,), part in failed) for part in self._parts),
            ),
            gauge("scrape_duration_seconds", "How long it took to ask for all of this.", (), one(seconds)),
            gauge("build_info", "Which ctpolicy has told this.", ("version",), (Sample((__version__,), 1),)),
        )
        return Gathered((*metrics, *about), failures)


class _Asked:
    """One source, and the thread that asks it."""

    def __init__(self, part: str, source: Source) -> None:
        self._part = part
        self._source = source
        self._thread: threading.Thread | None = None
        self._found: list[Told] = []

    def ask(self) -> None:
        """Begin, unless it is still at what it was asked before."""
        if self._thread is None:
            self._found = []
            # A daemon: one that hangs must not keep the program from ending.
            self._thread = threading.Thread(target=self._collect, args=(self._found,), daemon=True)
            self._thread.start()

    def answer(self, until: float) -> list[Told]:
        """What it says, or that it has said nothing in time."""
        assert self._thread is not None
        self._thread.join(max(until - time.monotonic(), 0))
        if self._thread.is_alive():
            return [Failure(self._part, DeadlineError("It did not answer in time."))]
        self._thread = None
        return self._found

    def _collect(self, found: list[Told]) -> None:
        try:
            found.extend(self._source())
        except Exception as error:  # a bug too must not hide what others tell
            found.append(Failure(self._part, error))
