"""The door to the terminal, for what stays on it: keys, signals, and putting it back as it was.

Signals only leave a note, which whoever waits is woken for: nothing is torn out of the midst of drawing, and the
terminal is put back by the same lines of code whatever ends the program.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

_END: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_QUIT: Final = b"qQ"


class Attention:
    """Waits for whatever comes first: a key, a signal, a change of the terminal's size, or another thread's call.

    Args:
        keys: whether there is somebody to press any.
    """

    def __init__(self, keys: bool) -> None:
        self._keys = keys
        self._waking = threading.Lock()
        self.is_ended = False
        """Whether this is to end: by q, Ctrl-C or another signal, or because the terminal is gone."""
        self.is_suspended = False
        """Whether somebody has pressed Ctrl-Z."""

    def __enter__(self) -> Attention:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        handled = (*_END, signal.SIGWINCH, *([signal.SIGTSTP] if self._keys else []))
        # What whoever started us has had ignored (nohup) stays so.
        self._before = {
            one: signal.signal(one, self._note) for one in handled if signal.getsignal(one) is not signal.SIG_IGN
        }
        self._woken_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._woken_before)
        for one, handler in self._before.items():
            signal.signal(one, handler)
        with self._waking:
            os.close(self._read)
            os.close(self._write)
            self._write = -1  # the number is soon another file's

    def wait(self) -> None:
        """Wait until something has come."""
        watched = [self._read, *([sys.stdin.fileno()] if self._keys else [])]
        ready, _, _ = select.select(watched, [], [])
        if self._read in ready:
            os.read(self._read, 4096)
        if any(one != self._read for one in ready):
            self._take_keys()

    def wake(self) -> None:
        """Have whoever waits look again; from any thread."""
        # Nobody waits any longer, or there were so many calls that one more is not needed.
        with self._waking, suppress(OSError):
            os.write(self._write, b"\0")

    def stop(self) -> None:
        """Stop as Ctrl-Z means it, until somebody has us go on."""
        self.is_suspended = False
        noted = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, noted)

    def _take_keys(self) -> None:
        try:
            pressed = os.read(sys.stdin.fileno(), 1024)
        except OSError:
            pressed = b""  # the terminal is gone
        if not pressed or any(key in _QUIT for key in pressed):
            self.is_ended = True

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 (a handler's signature)
        if number in _END:
            self.is_ended = True
        elif number == signal.SIGTSTP:
            self.is_suspended = True


@contextmanager
def keys_as_they_are_pressed() -> Iterator[None]:
    """Take keys without waiting for Enter and without showing them; afterwards the terminal is as it was."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
