"""A terminal in memory: programs run on a pty, and what they draw is kept as a person would see it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte


class Terminal:
    """A program on a terminal of some size.

    Args:
        command: the program and its arguments.
        columns: of the terminal; likewise `rows`.
        environment: of the program, besides PATH.
    """

    def __init__(
        self, command: Sequence[str], columns: int = 80, rows: int = 24, environment: Mapping[str, str] | None = None
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self._ours, theirs = pty.openpty()
        self._resize(columns, rows)
        self.modes = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", **(environment or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def lines(self) -> list[str]:
        """What is seen, without what is blank at the end of lines."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """The same, as one."""
        return "\n".join(self.lines)

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal takes keys as it did before, and shows its cursor and what was there."""
        modes = termios.tcgetattr(self._theirs)
        last_of = {kind: max(self.written.rfind(on), self.written.rfind(off)) for kind, on, off in _SWITCHES}
        back = all(self.written.startswith(on, last_of[kind]) or last_of[kind] < 0 for kind, on, _ in _SWITCHES)
        return modes == self.modes and back

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, which the program is told of."""
        self._screen.resize(rows, columns)
        self._screen.erase_in_display(2)
        self._resize(columns, rows)

    def until(self, is_seen: Callable[[Terminal], bool], seconds: float = 20) -> None:
        """Let the program go on until something is seen; an assertion with what is there if it never is."""
        end = time.monotonic() + seconds
        while not is_seen(self):
            left = end - time.monotonic()
            assert left > 0, f"not seen in {seconds} seconds:\n{self.text}\n{self.written[-500:]!r}"
            self._take(min(left, 0.1))

    def ended(self, seconds: float = 20) -> int:
        """The exit status, once the program has ended."""
        self.until(lambda one: one.process.poll() is not None, seconds)
        self._take(0)
        return int(self.process.returncode)

    def _take(self, seconds: float) -> None:
        ready, _, _ = select.select([self._ours], [], [], seconds)
        while ready:
            told = os.read(self._ours, 65536)
            self.written += told
            self._stream.feed(told)
            ready, _, _ = select.select([self._ours], [], [], 0)

    def _resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


_SWITCHES = (("screen", b"\x1b[?1049l", b"\x1b[?1049h"), ("cursor", b"\x1b[?25h", b"\x1b[?25l"))
