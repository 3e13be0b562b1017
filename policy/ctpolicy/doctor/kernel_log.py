"""What the kernel's log says of a full conntrack table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ctpolicy.doctor.facts import LogLine

# The namespace's number is told by newer kernels alone.
_FULL: Final = re.compile(r"nf_conntrack: table full(?: in netns (\d+))?, dropping packet")
_MORE: Final = re.compile(r"(?:net_ratelimit|nf_conntrack\w*): (\d+) callbacks suppressed")
_RECORD: Final = re.compile(rb"\d+,\d+,(\d+),[^;]*;([^\n]*)")


@dataclass(frozen=True, slots=True)
class TableFull:
    """What is told of a full table.

    Args:
        times: how often. The kernel limits how often it says so, so more packets were dropped.
        suppressed: how often it has not said something, this or another, because of that.
        first: seconds since 1970.
        last: likewise.
        namespaces: the numbers of the network namespaces, where they are told.
    """

    times: int
    suppressed: int
    first: float
    last: float
    namespaces: frozenset[int]


def table_full(lines: Iterable[LogLine]) -> TableFull | None:
    """What the lines say of a full table; None if nothing."""
    found: list[float] = []
    numbers: set[int] = set()
    suppressed = 0
    for line in lines:
        if told := _FULL.search(line.text):
            found.append(line.when)
            numbers |= {int(told[1])} if told[1] else set()
        elif more := _MORE.search(line.text):
            suppressed += int(more[1])
    if not found:
        return None
    return TableFull(len(found), suppressed, min(found), max(found), frozenset(numbers))


def record(raw: bytes, booted: float) -> LogLine | None:
    """One record of /dev/kmsg; None if it is of another form.

    Args:
        raw: as it is read.
        booted: when this machine was, in seconds since 1970.
    """
    found = _RECORD.match(raw)
    if found is None:
        return None
    return LogLine(booted + int(found[1]) / 1e6, found[2].decode(errors="replace"))
