"""The door to what is known of a conntrack table without its entries: sysctls, netlink, and the kernel's slabs.

What a network namespace sees of it (Linux 6.18; a test holds it): its own count, timeouts and statistics; the maximum
and the buckets of the initial namespace, which it cannot write. Some older kernels hide these two, or all, from
namespaces; then netlink is asked, or nothing is known.

Nothing here reads an entry, so it costs the same however full the table is.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Final

from ctpolicy.conntrack import counted
from ctpolicy.conntrack.counted import Totals
from ctpolicy.conntrack.facts import ENTRY_BYTES, Statistics, TableFacts, entry_bytes, timeouts_and_settings
from ctpolicy.conntrack.sockets import DEADLINE, NETLINK_NETFILTER, dumped, is_loaded, opened
from ctpolicy.errors import HostError
from ctpolicy.namespaces import made_in

_SYSCTLS: Final = Path("/proc/sys/net/netfilter")
_STATISTICS: Final = Path("/proc/thread-self/net/stat/nf_conntrack")
_SLABS: Final = Path("/proc/slabinfo")


class KernelFacts:
    """Facts of this host, or of a network namespace; see facts.ConntrackFacts.

    Args:
        namespace: path of a network namespace; None for the one that we are in.
        deadline: seconds for one answer of the kernel's.
    """

    def __init__(self, namespace: Path | None = None, deadline: float = DEADLINE) -> None:
        self._namespace = namespace
        self._deadline = deadline

    def facts(self) -> TableFacts:
        """All that this kernel tells to whoever we are."""
        if not is_loaded():
            return TableFacts(False)
        numbers = made_in(self._namespace, _sysctls)
        entries, maximum, buckets = (numbers.pop(f"nf_conntrack_{name}", None) for name in ("count", "max", "buckets"))
        if entries is None or maximum is None:
            told = self._totals()
            entries = told.entries if entries is None else entries
            maximum = told.maximum if maximum is None else maximum
        timeouts, settings = timeouts_and_settings(numbers)
        measured = _entry_bytes()
        return TableFacts(
            True,
            entries,
            maximum,
            buckets,
            measured or ENTRY_BYTES,
            measured is not None,
            self._statistics(),
            settings,
            timeouts,
        )

    def seconds(self) -> float:
        """A clock that only ever goes on."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        time.sleep(seconds)

    def _statistics(self) -> Statistics | None:
        """By netlink, and where that is not there or not allowed, by the file that everybody may read."""
        try:
            with self._asking() as asking:
                told = (counted.statistics(*answer) for answer in dumped(asking, counted.statistics_request(1)))
                return sum(told, Statistics())
        except HostError:
            return made_in(self._namespace, _statistics_by_file)

    def _totals(self) -> Totals:
        try:
            with self._asking() as asking:
                told = [counted.totals(*answer) for answer in dumped(asking, counted.totals_request(1))]
                return told[0] if told else Totals()
        except HostError:
            return Totals()

    def _asking(self) -> socket:
        return opened(NETLINK_NETFILTER, self._namespace, self._deadline)


def _sysctls() -> dict[str, int]:
    """The numbers under net.netfilter, as the network namespace of this thread sees them."""
    found = {}
    for path in _SYSCTLS.glob("nf_conntrack_*"):
        # What is write-only or no number is none of ours, and what is gone has been hidden meanwhile.
        with suppress(OSError, ValueError):
            found[path.name] = int(path.read_text())
    return found


def _statistics_by_file() -> Statistics | None:
    try:
        return counted.statistics_of_file(_STATISTICS.read_text())
    except (OSError, ValueError):
        return None


def _entry_bytes() -> int | None:
    """Of one entry in the kernel's slabs, filling included; None where they may not be read."""
    try:
        listing = _SLABS.read_text()
    except OSError:
        return None
    return entry_bytes(listing)
