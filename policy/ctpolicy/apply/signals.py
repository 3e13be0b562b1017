"""The door to signals: those that would end us in the midst of a change wait until it is through.

A change takes seconds at most, each of its calls has a deadline, and a host that is half changed is worse than waiting.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_HELD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held() -> Iterator[list[str]]:
    """Let signals wait; the list has the names of those that came. Only a main thread can hold any."""
    came: list[str] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {one: signal.signal(one, note) for one in _HELD}
    try:
        yield came
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
