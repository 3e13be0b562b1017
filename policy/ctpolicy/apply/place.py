"""Where the state of a host, or of a network namespace, is kept."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpolicy.errors import HostError
from ctpolicy.namespaces import made_in

STATE: Final = Path("/var/lib/ctpolicy")
RUNTIME: Final = Path("/run/ctpolicy")

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
    """Whether it is that of the first process. Who may not look there is an ordinary user, or in a container.

    Or our own service, which has not the capabilities that looking at the first process takes. systemd tells it where
    its state is.
    """
    try:
        return namespace.stat().st_ino == _NUMBER_OF_THE_HOSTS or namespace.samefile(_OF_THE_HOST)
    except OSError:
        return namespace == _OURS and os.environ.get("STATE_DIRECTORY") == str(STATE)


def _cookie(namespace: Path | None) -> int:
    try:
        return made_in(namespace, _own_cookie)
    except OSError as error:
        raise HostError(f"The network namespace cannot be told from others: {error.strerror}.") from error


def _own_cookie() -> int:
    with socket.socket(socket.AF_UNIX) as asking:
        return int.from_bytes(asking.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8), sys.byteorder)
