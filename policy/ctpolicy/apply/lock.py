"""The lock that lets one change of a host happen at a time. It ends with whoever holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ctpolicy.apply.files import Directory
from ctpolicy.errors import LockError, StateError

LOCK_WAIT: Final = 30.0
"""Seconds to wait for another ctpolicy, if nothing else is said."""

_BETWEEN_TRIES: Final = 0.05
"""Seconds. flock has no deadline of its own, and an alarm would interrupt whatever else runs."""


@contextmanager
def locked(directory: Path, wait: float) -> Iterator[None]:
    """Hold the lock in this directory.

    Args:
        directory: made if it is not there.
        wait: seconds to wait for whoever holds it.

    Raises:
        LockError: another held it all the while.
        StateError: there can be no lock there.
    """
    Directory.made(directory).close()
    path = directory / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"{path} cannot be opened: {error.strerror}.") from error
    try:
        _take(descriptor, path, wait)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, wait: float) -> None:
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise LockError(_held(descriptor, path, wait)) from None
            time.sleep(_BETWEEN_TRIES)
        else:
            return


def _held(descriptor: int, path: Path, wait: float) -> str:
    holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
    who = f"process {holder}" if holder.isdigit() else "another process"
    return f"{who} changes this host and held {path} for {wait:g} seconds. Nothing was changed; try again."
