"""The door to network namespaces: by name, by path, and scratch ones in which anything can be tried.

Whoever enters a namespace, or makes one, is in it from then on. So a thread of its own does that, makes what is wanted
there (a socket or a descriptor belongs to a namespace for good), and ends; this process stays where it is.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from ctpolicy.errors import CtpolicyError, HostError, InputError

NAMED: Final = Path("/run/netns")
"""Where `ip netns` keeps those with names."""

_CLONE_NEWNET: Final = 0x40000000

_Made = TypeVar("_Made")


def namespace_path(name: str) -> Path:
    """The path of a network namespace that is given by name, as `ip netns` knows it, or by path.

    Raises:
        InputError: there is nothing of that name.
    """
    path = Path(name) if os.sep in name else NAMED / name
    if name in {"", ".", ".."} or not path.exists():
        raise InputError(f"There is no network namespace {path}; `ip netns list` shows those with names.")
    return path


def made_in(namespace: Path | None, make: Callable[[], _Made]) -> _Made:
    """What a function makes in a network namespace; None for the one that we are in.

    Raises:
        HostError: it may not be entered.
        InputError: it is not there, or none.
    """
    if namespace is None:
        return make()

    def entered() -> _Made:
        _enter(namespace)
        return make()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(entered).result()


@contextmanager
def scratch_namespace() -> Iterator[Path | None]:
    """The path of a new network namespace with nothing in it, gone afterwards; None if we may have none."""

    def make() -> int | None:
        if ctypes.CDLL(None).unshare(_CLONE_NEWNET):
            return None
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    with ThreadPoolExecutor(max_workers=1) as thread:
        descriptor = thread.submit(make).result()
    if descriptor is None:
        yield None
        return
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


def no_namespace(namespace: Path | None, code: int) -> CtpolicyError:
    """The error for a namespace that cannot be entered, by the system's errno."""
    if code in {errno.EPERM, errno.EACCES}:
        return HostError(f"Entering {namespace} needs CAP_SYS_ADMIN: run this as root (sudo).")
    return InputError(
        f"{namespace} is not a network namespace ({os.strerror(code)}); `ip netns list` shows those with names."
    )


def _enter(namespace: Path) -> None:
    """Join a network namespace, this thread alone. (os.setns is newer than Python 3.11.)"""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise no_namespace(namespace, error.errno or 0) from error
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise no_namespace(namespace, ctypes.get_errno())
    finally:
        os.close(descriptor)
