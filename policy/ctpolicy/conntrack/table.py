"""What can be asked of a conntrack table. The kernel's is in reader.py; a fake stands in for it in tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from ctpolicy.conntrack.entry import Entry


class Deleted(NamedTuple):
    """What became of entries that were to be deleted; those that are neither were refused.

    Args:
        deleted: how many went.
        gone: how many were gone already, or had become others.
    """

    deleted: int
    gone: int


class ConntrackTable(Protocol):
    """The entries of one network namespace."""

    def entries(self) -> Iterator[Entry]:
        """Every entry, one after the other; none where conntrack is not in use.

        Raises:
            HostError: they cannot be read.
            DeadlineError: no answer in time.
        """

    def delete(self, entries: Sequence[Entry]) -> Deleted:
        """Delete entries, never another that has come into an entry's place.

        Raises:
            HostError: they may not be deleted.
            DeadlineError: no answer in time; any number of them may be gone.
        """

    def seconds(self) -> float:
        """A clock that only ever goes on."""
