"""The door to the entries of the live conntrack table, and to the host's addresses: over netlink sockets."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ctpolicy.conntrack import addresses, codec, netlink, outline
from ctpolicy.conntrack.addresses import Answer, HostAddresses
from ctpolicy.conntrack.entry import Entry
from ctpolicy.conntrack.sockets import (
    BUFFER,
    DEADLINE,
    NETLINK_NETFILTER,
    NETLINK_ROUTE,
    SOL_NETLINK,
    dumped,
    is_loaded,
    not_privileged,
    opened,
    receive,
)
from ctpolicy.conntrack.statistics import Row
from ctpolicy.conntrack.table import Deleted

_STRICT_CHECK: Final = 12

_ROWS: Final = 2000
"""Entries that are told at once."""

_BATCH: Final = 128
"""Deletions in one go. Their answers have to fit into the socket's buffer, at about 1 kB each (Linux 6.18)."""


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
        if not is_loaded():
            return
        with opened(NETLINK_NETFILTER, self._namespace, self._deadline) as asking:
            for buffer, found in dumped(asking, codec.dump_request(1)):
                if found.kind == codec.NEW:
                    entry = codec.decode(buffer, found.start, found.end)
                    if entry is not None:
                        yield entry

    def rows(self, most: int | None = None, seconds: float | None = None) -> Iterator[list[Row]]:
        """Every entry as statistics want it, some at a time.

        The kernel walks over the hash table from its first bucket to its last. Where an entry lies there is as good as
        random (its tuple's hash under a secret key), so the first entries are a random sample of all.

        Args:
            most: end after about so many.
            seconds: end after so many seconds.

        Raises:
            HostError: they cannot be read.
            DeadlineError: no answer in time.
        """
        if not is_loaded():
            return
        began, told = time.monotonic(), 0
        with opened(NETLINK_NETFILTER, self._namespace, self._deadline) as asking:
            rows: list[Row] = []
            for buffer, found in dumped(asking, codec.dump_request(1)):
                row = outline.row(buffer, found.start, found.end) if found.kind == codec.NEW else None
                if row is not None:
                    rows.append(row)
                if len(rows) == (_ROWS if most is None else min(_ROWS, most - told)):
                    yield rows
                    told += len(rows)
                    rows = []
                    if told == most or (seconds is not None and time.monotonic() - began > seconds):
                        return  # closing the socket ends the dump
            if rows:
                yield rows

    def delete(self, entries: Sequence[Entry]) -> Deleted:
        """Delete entries: each only if it still has its id."""
        deleted = gone = 0
        if not entries:
            return Deleted(0, 0)
        with opened(NETLINK_NETFILTER, self._namespace, self._deadline) as asking:
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
        with opened(NETLINK_ROUTE, self._namespace, self._deadline) as asking:
            # Linux 4.20 and later; before, all tables are sent, and addresses.py picks.
            with suppress(OSError):
                asking.setsockopt(SOL_NETLINK, _STRICT_CHECK, 1)
            for request in addresses.requests(1):
                # ENOENT is what there is for a family that has no local table, as where every device is down.
                for buffer, found in dumped(asking, request, nothing=errno.ENOENT):
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
        buffer = bytearray(BUFFER)
        while left:
            for found in netlink.messages(buffer, receive(asking, buffer)):
                if found.kind == netlink.ERROR:
                    code = netlink.error_code(buffer, found)
                    if code == errno.EPERM:
                        raise not_privileged()
                    left -= 1
                    yield code
