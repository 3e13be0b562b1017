"""Interfaces of a box as the language says them: names and beginnings of names.

What a policy leaves of its patterns, once other entries track some, has holes that are patterns too: all that is `eth*`
but `eth1`. The patterns around such values are the smallest ones whose holes are patterns. Those of the policy are like
that and so the smallest are within them, and whatever they hold too much a track entry can take away.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_set, interval_pattern, pattern_interval
from ctpolicy.packetspace.interfaces import Interfaces, is_interface_pattern
from ctpolicy.packetspace.intervals import IntervalSet

_BYTES = INTERFACE_BITS // 8
_ANY = IntervalSet.full(INTERFACE_BITS)


def exact_interfaces(values: IntervalSet) -> Interfaces | None:
    """The names and patterns that stand for these values; None if none do, such as all but one interface."""
    found = hull(values)
    return found if interface_set(found) == values else None


def hull(values: IntervalSet) -> Interfaces:
    """The fewest names and patterns that hold these values, and maybe others; every interface, if no patterns do.

    The interface that nobody names is in no pattern, and all that have names but a few are in none together.
    """
    if values == _ANY or 0 in values:
        return Interfaces()
    found: list[str] = []
    left = values
    while left:
        first, last = left.intervals[0]
        pattern = _longest_run(first, last) or _smallest_around(first, values)
        if pattern is None:
            return Interfaces()
        found.append(pattern)
        left = _without(left, IntervalSet((pattern_interval(pattern),)))
    return Interfaces.of(found)


def _longest_run(first: int, last: int) -> str | None:
    """The pattern or name that begins at a value and ends no later than another."""
    beginning = first.to_bytes(_BYTES).rstrip(b"\0")
    end = int.from_bytes(beginning.ljust(_BYTES, b"\xff"))
    return interval_pattern((first, end)) if end <= last else interval_pattern((first, first))


def _smallest_around(value: int, values: IntervalSet) -> str | None:
    """The smallest pattern around a value whose holes are patterns."""
    for pattern in _patterns_around(value):
        if _are_patterns(_without(IntervalSet((pattern_interval(pattern),)), values)):
            return pattern
    return None


def _without(values: IntervalSet, others: IntervalSet) -> IntervalSet:
    return values & others.complement(INTERFACE_BITS)


def _patterns_around(value: int) -> Iterator[str]:
    """All patterns that hold a value, from the smallest to the largest."""
    octets = value.to_bytes(_BYTES)
    for length in range(_BYTES - 1, 0, -1):
        pattern = octets[:length].decode("latin-1") + "*"
        if is_interface_pattern(pattern):
            yield pattern


def _are_patterns(values: IntervalSet) -> bool:
    for first, last in values:
        while first <= last:
            pattern = _longest_run(first, last)
            if pattern is None:
                return False
            first = pattern_interval(pattern)[1] + 1
    return True
