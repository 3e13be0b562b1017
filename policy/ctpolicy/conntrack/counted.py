"""What the kernel has counted of a conntrack table: netlink messages, and the file that older ways of asking read."""

from __future__ import annotations

from typing import Final, NamedTuple

from ctpolicy.conntrack.facts import Statistics
from ctpolicy.conntrack.netlink import ACKNOWLEDGE, DUMP, Bytes, Message, message, values

_GET_STATISTICS: Final = 1 << 8 | 4  # IPCTNL_MSG_CT_GET_STATS_CPU
_GET_TOTALS: Final = 1 << 8 | 5  # IPCTNL_MSG_CT_GET_STATS
_NFGEN_SIZE: Final = 4

# enum ctattr_stats_cpu, in the order of the fields of Statistics.
_ATTRIBUTES: Final = (2, 4, 8, 9, 10, 11, 12, 13, 14, 15)
_COLUMNS: Final = (
    *("found", "invalid", "insert", "insert_failed", "drop", "early_drop", "icmp_error", "search_restart"),
    *("clashres", "chainlength"),
)
_ENTRIES, _MOST_ENTRIES = 1, 2


class Totals(NamedTuple):
    """How many entries there are, and how many there may be; None for what is not told."""

    entries: int | None = None
    maximum: int | None = None


def statistics_request(sequence: int) -> bytes:
    """Ask what each processor has counted."""
    return message(_GET_STATISTICS, DUMP, sequence, bytes(_NFGEN_SIZE))


def totals_request(sequence: int) -> bytes:
    """Ask how many entries there are."""
    return message(_GET_TOTALS, ACKNOWLEDGE, sequence, bytes(_NFGEN_SIZE))


def statistics(buffer: Bytes, found: Message) -> Statistics:
    """What one processor has counted."""
    told = values(buffer, found.start + _NFGEN_SIZE, found.end)
    return Statistics(*(int.from_bytes(told.get(kind, b"")) for kind in _ATTRIBUTES))


def totals(buffer: Bytes, found: Message) -> Totals:
    """How many entries there are, and may be (the latter since Linux 4.18)."""
    told = values(buffer, found.start + _NFGEN_SIZE, found.end)
    return Totals(*(int.from_bytes(told[kind]) if kind in told else None for kind in (_ENTRIES, _MOST_ENTRIES)))


def statistics_of_file(text: str) -> Statistics | None:
    """The sum of what /proc/net/stat/nf_conntrack says: hexadecimal, a line a processor; None if it is none.

    The column `chainlength` has what netlink calls chain_toolong (Linux 5.15 and later); `clashres` was `searched`
    before 5.10, and is taken by its name alone.
    """
    head, *lines = text.splitlines() or [""]
    names = head.split()
    if "insert_failed" not in names:
        return None
    total = Statistics()
    for line in lines:
        numbers = dict(zip(names, (int(word, 16) for word in line.split()), strict=False))
        total += Statistics(*(numbers.get(column, 0) for column in _COLUMNS))
    return total
