"""The one door to the live conntrack table, and to the host's addresses: netlink sockets."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from ctpolicy.conntrack import addresses, codec, netlink
from ctpolicy.conntrack.addresses import Answer, HostAddresses
from ctpolicy.conntrack.entry import Entry
from ctpolicy.conntrack.table import Deleted
from ctpolicy.errors import DeadlineError, HostError
from ctpolicy.namespaces import made_in

DEADLINE: Final = 20.0
"""Seconds for one answer of the kernel's; a dump of 100,000 entries is 650 answers, and takes 0.2 altogether."""

_MODULES: Final = Path("/sys/module")
_CLONE_NEWNET: Final = 0x40000000
_NETLINK_ROUTE: Final = 0
_NETLINK_NETFILTER: Final = 12
_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_STRICT_CHECK: Final = 12
_BUFFER: Final = 1 << 16
"""Bytes; the kernel sends at most 32 kB of a dump at once."""

_BATCH: Final = 128
"""Deletions in one go. Their answers have to fit into the socket's buffer, at about 1 kB each (Linux 6.18)."""

_MISSING: Final = {errno.EINVAL, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP}
"""What nfnetlink answers for a part that is not in this kernel, and the kernel where nfnetlink itself is not."""

_Made = TypeVar("_Made")


class Conntrack:
    """The conntrack table of this host, or of a network namespace; see table.ConntrackTable.

    Args:
        namespace: path of a network namespace; None for the one that we are in.
        deadline: seconds for one answer of the kernel's.
    """

    def __init__(self, namespace: Path | None = None, deadline: float = DEADLINE) -> None:
        self._namespace = namespace
        self._deadline = deadline

    def entries(self) -> Iterator[Entry]:
        """Every entry, as the kernel tells them. While the table changes, one may come twice."""
        if not _is_loaded():
            return
        with self._socket(_NETLINK_NETFILTER) as asking:
            for buffer, found in _dumped(asking, codec.dump_request(1)):
                if found.kind == codec.NEW:
                    entry = codec.decode(buffer, found.start, found.end)
                    if entry is not None:
                        yield entry

    def delete(self, entries: Sequence[Entry]) -> Deleted:
        """Delete entries: each only if it still has its id."""
        deleted = gone = 0
        if not entries:
            return Deleted(0, 0)
        with self._socket(_NETLINK_NETFILTER) as asking:
            for first in range(0, len(entries), _BATCH):
                for code in self._answers(asking, entries[first : first + _BATCH]):
                    deleted += code == 0
                    gone += code == errno.ENOENT
        return Deleted(deleted, gone)

    def addresses(self) -> HostAddresses:
        """Which addresses are this host's.

        Raises:
            HostError: they cannot be read.
            DeadlineError: no answer in time.
        """
        answers = []
        with self._socket(_NETLINK_ROUTE) as asking:
            # Linux 4.20 and later; before, all tables are sent, and addresses.py picks.
            with suppress(OSError):
                asking.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
            for request in addresses.requests(1):
                # ENOENT is what there is for a family that has no local table, as where every device is down.
                for buffer, found in _dumped(asking, request, nothing=errno.ENOENT):
                    answers.append(Answer(found.kind, bytes(buffer[found.start : found.end])))
        return addresses.host_addresses(answers)

    def seconds(self) -> float:
        """A clock that only ever goes on."""
        return time.monotonic()

    def _answers(self, asking: socket.socket, entries: Sequence[Entry]) -> Iterator[int]:
        """Delete a few entries; for each what the kernel said."""
        asked = (codec.deletion(entry, netlink.ACKNOWLEDGE, at) for at, entry in enumerate(entries))
        asking.send(b"".join(asked))
        left = len(entries)
        buffer = bytearray(_BUFFER)
        while left:
            for found in netlink.messages(buffer, _receive(asking, buffer)):
                if found.kind == netlink.ERROR:
                    code = netlink.error_code(buffer, found)
                    if code == errno.EPERM:
                        raise _not_privileged()
                    left -= 1
                    yield code

    def _socket(self, protocol: int) -> socket.socket:
        made = made_in(self._namespace, lambda: _open(protocol))
        made.settimeout(self._deadline)
        return made


def _open(protocol: int) -> socket.socket:
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise _without_netlink() from error
    with suppress(OSError):  # Linux 4.3 and later: answers do not repeat what was asked
        made.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return made


def _is_loaded() -> bool:
    """Whether conntrack is in this kernel. To ask it would load it."""
    return not _MODULES.is_dir() or (_MODULES / "nf_conntrack").exists()


def _dumped(asking: socket.socket, request: bytes, nothing: int = 0) -> Iterator[tuple[bytearray, netlink.Message]]:
    """The messages that answer a request for a dump, each in a buffer that is used again.

    Args:
        asking: the socket.
        request: what is asked.
        nothing: the errno that says that there is nothing.
    """
    buffer = bytearray(_BUFFER)
    asking.send(request)
    while True:
        for found in netlink.messages(buffer, _receive(asking, buffer)):
            if found.kind in {netlink.DONE, netlink.ERROR}:
                code = netlink.error_code(buffer, found)
                if code != nothing:
                    _check(code)
                return
            yield buffer, found


def _receive(asking: socket.socket, buffer: bytearray) -> int:
    try:
        return asking.recv_into(buffer)
    except TimeoutError as error:
        raise DeadlineError("The kernel did not answer over netlink in time; run this again.") from error
    except OSError as error:
        raise HostError(f"The kernel's answer over netlink was lost ({error.strerror}); run this again.") from error


def _check(code: int) -> None:
    if code in {errno.EPERM, errno.EACCES}:
        raise _not_privileged()
    if code in _MISSING:
        raise _without_netlink()
    if code:
        raise HostError(f"The kernel refused to answer over netlink: {os.strerror(code)}.")


def _not_privileged() -> HostError:
    return HostError("The conntrack table may only be read and changed with CAP_NET_ADMIN: run this as root (sudo).")


def _without_netlink() -> HostError:
    return HostError(
        "This kernel does not tell what is in the conntrack table: its module nf_conntrack_netlink is missing. Load "
        "it: modprobe nf_conntrack_netlink."
    )
