"""What is known of a conntrack table without its entries: size, limits, timeouts, and what was counted since boot.

The kernel's door to these is in kernel_facts.py; a fake stands in for it in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from typing import Final, Protocol

ENTRY_BYTES: Final = 256
"""Of one entry, `struct nf_conn` with its slab's filling, on a 64-bit machine (Linux 6.18; 320 on older ones)."""

EXTENSION_BYTES: Final = 128
"""What is allocated for an entry's extensions (accounts, NAT, helper, timestamps), if it has any: at least so many."""

BUCKET_BYTES: Final = 8
"""Of one bucket of the hash table: a pointer."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What conntrack has counted in a network namespace since that was made, or since boot: the sum over processors.

    Args:
        found: lookups for a new entry's tuple that found another in its place, which took the packet to another port.
        invalid: packets that are of no flow and cannot begin one.
        insert: entries that were put in by hand, or by synchronisation.
        insert_failed: entries that were not put in, because one with their tuple was there: mostly two packets at once.
        drop: packets that were dropped because the table was full, or no memory was left.
        early_drop: entries that had to go, before their time, because the table was full.
        error: ICMP and other packets that are malformed.
        search_restart: lookups that began anew, because the table was growing.
        clash_resolve: entries that two packets made at once, and that were made one.
        chain_too_long: entries that were not put in, because their bucket had too many already (Linux 5.15 and later).
    """

    found: int = 0
    invalid: int = 0
    insert: int = 0
    insert_failed: int = 0
    drop: int = 0
    early_drop: int = 0
    error: int = 0
    search_restart: int = 0
    clash_resolve: int = 0
    chain_too_long: int = 0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, earlier: Statistics) -> Statistics:
        return Statistics(*(one - less for one, less in zip(astuple(self), astuple(earlier), strict=True)))

    def __bool__(self) -> bool:
        return any(astuple(self))


STATISTICS: Final = tuple(one.name for one in fields(Statistics))
"""The names of what is counted."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What is known of a conntrack table. Whatever this kernel does not tell is None.

    Args:
        is_loaded: whether conntrack is in this kernel at all; if not, there is nothing else.
        entries: how many there are, those that are dying among them (net.netfilter.nf_conntrack_count).
        maximum: how many there may be; 0 for any number (nf_conntrack_max).
        buckets: of the hash table, which all network namespaces share (nf_conntrack_buckets).
        entry_bytes: of one entry without its extensions.
        is_measured: whether this kernel has told these bytes.
        statistics: what was counted.
        settings: the other numbers under net.netfilter.nf_conntrack_*, by what comes after that: acct, tcp_loose...
        timeouts: seconds, by what comes after nf_conntrack_ and without `timeout`: tcp_established, udp, udp_stream...
    """

    is_loaded: bool
    entries: int | None = None
    maximum: int | None = None
    buckets: int | None = None
    entry_bytes: int = ENTRY_BYTES
    is_measured: bool = False
    statistics: Statistics | None = None
    settings: Mapping[str, int] = field(default_factory=dict)
    timeouts: Mapping[str, int] = field(default_factory=dict)

    @property
    def fill(self) -> float | None:
        """How full the table is: 1 is full."""
        return self.entries / self.maximum if self.entries is not None and self.maximum else None

    @property
    def headroom(self) -> int | None:
        """How many entries there is room for."""
        return max(self.maximum - self.entries, 0) if self.entries is not None and self.maximum else None

    @property
    def is_full(self) -> bool:
        """Whether there is room for no more."""
        return self.headroom == 0

    @property
    def shows_no_use(self) -> bool:
        """Whether nothing here says that any rule uses conntrack: no entry now, and nothing was ever counted."""
        return not self.entries and not self.statistics

    def memory(self, entries: int) -> int:
        """About how many bytes so many entries take at most, and the hash table with them."""
        return entries * (self.entry_bytes + EXTENSION_BYTES) + (self.buckets or 0) * BUCKET_BYTES


class ConntrackFacts(Protocol):
    """The conntrack table of one network namespace, as it is known without its entries."""

    def facts(self) -> TableFacts:
        """All of it. That conntrack is not loaded or not in use is no error.

        Raises:
            InputError: there is no such network namespace.
            HostError: it may not be entered.
            DeadlineError: no answer in time.
        """

    def seconds(self) -> float:
        """A clock that only ever goes on."""

    def wait(self, seconds: float) -> None:
        """Let time go by."""


def timeouts_and_settings(numbers: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Timeouts in seconds and other settings, from what is under net.netfilter by its name.

    Args:
        numbers: the values by name, such as nf_conntrack_tcp_timeout_established and nf_conntrack_acct.
    """
    timeouts: dict[str, int] = {}
    settings: dict[str, int] = {}
    for name, number in numbers.items():
        words = name.removeprefix("nf_conntrack_").split("_")
        if "timeout" in words:
            words.remove("timeout")
            timeouts["_".join(words)] = number
        else:
            settings["_".join(words)] = number
    return timeouts, settings


def entry_bytes(slabs: str) -> int | None:
    """Of one entry, filling included, by what /proc/slabinfo (version 2.1) says; None if it has no slab of its own."""
    for line in slabs.splitlines():
        # Linux 4.7 and later have one slab for all namespaces; before, nf_conntrack_ and a number or an address.
        if line.split(" ")[0].rstrip("0123456789abcdef") in {"nf_conntrack", "nf_conntrack_"}:
            return int(line.split()[3])
    return None
