"""Readings of a host that are taken again and again, while somebody looks at them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Made = TypeVar("Made")


class Repeated(Generic[Made]):
    """Makes something again and again in a thread of its own, so that a slow one keeps nobody from pressing q.

    Args:
        make: makes it.
        interval: seconds from one beginning to the next. Making it takes half of the time at most, however long it is.
        calls: is called when one is made.
        clock: tells seconds.
    """

    def __init__(
        self, make: Callable[[], Made], interval: float, calls: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._make = make
        self._interval = interval
        self._calls = calls
        self._clock = clock
        self._ended = threading.Event()
        self._made: deque[Made] = deque()
        self._bug: Exception | None = None

    def __enter__(self) -> Repeated[Made]:
        # A daemon: one that hangs must not keep the program from ending.
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()

    def __iter__(self) -> Iterator[Made]:
        """What was made since the last time; a bug that came in making it is raised."""
        if self._bug is not None:
            raise self._bug
        while self._made:
            yield self._made.popleft()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = self._clock()
            try:
                self._made.append(self._make())
            except Exception as error:  # whoever takes what is made raises it, where it is told
                self._bug = error
                self._ended.set()
            self._calls()
            spent = self._clock() - began
            self._ended.wait(max(self._interval - spent, spent))
