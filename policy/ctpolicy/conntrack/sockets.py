"""Netlink sockets in any network namespace, and what it takes to read their answers."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from ctpolicy.conntrack import netlink
from ctpolicy.errors import DeadlineError, HostError
from ctpolicy.namespaces import made_in

DEADLINE: Final = 20.0
"""Seconds for one answer of the kernel's; a dump of 100,000 entries is 650 answers, and takes 0.2 altogether."""

BUFFER: Final = 1 << 16
"""Bytes; the kernel sends at most 32 kB of a dump at once."""

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

_MODULES: Final = Path("/sys/module")
SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10

_MISSING: Final = {errno.EINVAL, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP}
"""What nfnetlink answers for a part that is not in this kernel, and the kernel where nfnetlink itself is not."""


def opened(protocol: int, namespace: Path | None = None, deadline: float = DEADLINE) -> socket.socket:
    """A socket of this host, or of a network namespace.

    Args:
        protocol: NETLINK_ROUTE or NETLINK_NETFILTER.
        namespace: path of a network namespace; None for the one that we are in.
        deadline: seconds for one answer of the kernel's.
    """
    made = made_in(namespace, lambda: _open(protocol))
    made.settimeout(deadline)
    return made


def is_loaded() -> bool:
    """Whether conntrack is in this kernel. To ask it would load it."""
    return not _MODULES.is_dir() or (_MODULES / "nf_conntrack").exists()


def _open(protocol: int) -> socket.socket:
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise _without_netlink() from error
    with suppress(OSError):  # Linux 4.3 and later: answers do not repeat what was asked
        made.setsockopt(SOL_NETLINK, _CAP_ACK, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return made


def dumped(asking: socket.socket, request: bytes, nothing: int = 0) -> Iterator[tuple[bytearray, netlink.Message]]:
    """The messages that answer a request for a dump, each in a buffer that is used again.

    Args:
        asking: the socket.
        request: what is asked.
        nothing: the errno that says that there is nothing.
    """
    buffer = bytearray(BUFFER)
    asking.send(request)
    while True:
        for found in netlink.messages(buffer, receive(asking, buffer)):
            if found.kind in {netlink.DONE, netlink.ERROR}:
                code = netlink.error_code(buffer, found)
                if code != nothing:
                    check(code)
                return
            yield buffer, found


def receive(asking: socket.socket, buffer: bytearray) -> int:
    """One answer, put into the buffer; its size."""
    try:
        return asking.recv_into(buffer)
    except TimeoutError as error:
        raise DeadlineError("The kernel did not answer over netlink in time; run this again.") from error
    except OSError as error:
        raise HostError(f"The kernel's answer over netlink was lost ({error.strerror}); run this again.") from error


def check(code: int) -> None:
    """Nothing for 0; an errno, told in words."""
    if code in {errno.EPERM, errno.EACCES}:
        raise not_privileged()
    if code in _MISSING:
        raise _without_netlink()
    if code:
        raise HostError(f"The kernel refused to answer over netlink: {os.strerror(code)}.")


def not_privileged() -> HostError:
    """What is said of EPERM."""
    return HostError("The conntrack table may only be read and changed with CAP_NET_ADMIN: run this as root (sudo).")


def _without_netlink() -> HostError:
    return HostError(
        "This kernel does not tell what is in the conntrack table: its module nf_conntrack_netlink is missing. Load "
        "it: modprobe nf_conntrack_netlink."
    )
