"""Where the state of a host, or of a network namespace, is kept."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpolicy.errors import HostError

STATE: Final = Path("/var/lib/ctpolicy")
RUNTIME: Final = Path("/run/ctpolicy")

_CLONE_NEWNET: Final = 0x40000000
_SO_NETNS_COOKIE: Final = 71  # Linux 5.14
_OURS: Final = Path("/proc/self/ns/net")
_OF_THE_HOST: Final = Path("/proc/1/ns/net")
_NUMBER_OF_THE_HOSTS: Final = 0xEFFFFFF9  # NET_NS_INIT_INO, since Linux 6.18


@dataclass(frozen=True, slots=True)
class Place:
    """Two directories.

    Args:
        state: snapshots and what is restored at boot.
        lock: the lock is in it.
    """

    state: Path
    lock: Path


def place_of(namespace: Path | None, root: Path | None = None) -> Place:
    """The place of a network namespace's state.

    That of the host itself outlives a reboot. Any other namespace does not, and its number is soon another's; so its
    state lies where nothing outlives a reboot, by a cookie that the kernel never gives twice.

    Args:
        namespace: its path; None for the one that we are in.
        root: what to use instead of /var/lib/ctpolicy and /run/ctpolicy.

    Raises:
        HostError: the namespace cannot be entered to ask.
    """
    if is_the_hosts(namespace or _OURS):
        return Place(root / "host", root / "run") if root else Place(STATE, RUNTIME)
    name = f"netns-{_cookie(namespace)}"
    beside = (root or RUNTIME) / name
    return Place(beside, beside)


def is_the_hosts(namespace: Path = _OURS) -> bool:
    """Whether it is that of the first process. Who may not look there is an ordinary user, or in a container."""
    try:
        return namespace.stat().st_ino == _NUMBER_OF_THE_HOSTS or namespace.samefile(_OF_THE_HOST)
    except OSError:
        return False


def _cookie(namespace: Path | None) -> int:
    """Asked by a thread of its own, because entering moves the thread that does it."""
    found: list[int] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            if namespace is not None:
                _enter(namespace)
            with socket.socket(socket.AF_UNIX) as asking:
                answer = asking.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
            found.append(int.from_bytes(answer, "little"))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    if failed:
        raise HostError(f"The network namespace cannot be told from others: {failed[0].strerror}.") from failed[0]
    return found[0]


def _enter(namespace: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
