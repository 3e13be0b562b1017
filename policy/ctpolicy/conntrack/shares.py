"""The door to large saved tables: every processor reads shares of the lines, each in a process of its own.

One process takes 2 to 3 microseconds a line, most of it in one regular expression (Python 3.11); the shell's pipelines
use every processor too. What is counted apart is divided among the processes, so that memory is as for one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO, Final

from ctpolicy.conntrack.dumps import MOST_OF_A_LINE, Lines, tally_entries
from ctpolicy.conntrack.statistics import MOST_DIFFERENT, Tally
from ctpolicy.errors import HostError

SMALLEST: Final = 1 << 24
"""Bytes of a share; below that, to start a process takes longer than it saves."""

MOST_SHARES: Final = 8

_A_PROCESSOR: Final = 2
"""Shares; with one each, the last would often be waited for, because its processor had other things to do too."""

Part = tuple[Tally, Lines]


def read_shares(path: Path) -> list[Part]:
    """What was counted in each share of a saved table, in the order of its lines.

    Raises:
        OSError: it cannot be read.
        HostError: a process was ended by somebody else, for want of memory it may be.
    """
    with path.open("rb") as file:
        bounds = _bounds(file, os.fstat(file.fileno()).st_size)
        if len(bounds) <= 2:
            return [_tallied(file, MOST_DIFFERENT)]
    shares = list(pairwise(bounds))
    with ProcessPoolExecutor(len(shares), get_context("fork"), _leave_interrupts_to_us) as processes:
        asked = [processes.submit(_read_share, path, *share, MOST_DIFFERENT // len(shares)) for share in shares]
        try:
            return [share.result() for share in asked]
        except BrokenProcessPool as error:
            raise HostError(f"A process that read a share of {path} was killed: run this again.") from error


def _bounds(file: BinaryIO, size: int) -> Sequence[int]:
    """Where the shares begin and end: each after a line."""
    wanted = min(MOST_SHARES, _A_PROCESSOR * len(os.sched_getaffinity(0)), size // SMALLEST)
    number = max(1, wanted)
    found = [0]
    for at in range(1, number):
        file.seek(size * at // number)
        line = file.readline(MOST_OF_A_LINE)
        if line.endswith(b"\n"):
            found.append(file.tell())
    file.seek(0)
    return [*sorted(set(found)), size]


class _Share:
    """So many of a file's bytes, from where it stands."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file, self._left = file, length

    def read(self, size: int, /) -> bytes:
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        return block


def _read_share(path: Path, begin: int, end: int, most: int) -> Part:
    with path.open("rb") as file:
        file.seek(begin)
        return _tallied(_Share(file, end - begin), most)


def _tallied(stream: BinaryIO | _Share, most: int) -> Part:
    tally, lines = Tally(most=most), Lines()
    tally_entries(stream, tally, lines)
    return tally, lines


def _leave_interrupts_to_us() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
