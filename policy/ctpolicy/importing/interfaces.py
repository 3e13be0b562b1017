"""Interfaces of a box as the language says them: names and beginnings of names."""

from __future__ import annotations

from itertools import takewhile

from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_set, interval_pattern, pattern_interval
from ctpolicy.packetspace.interfaces import Interfaces, is_interface_pattern
from ctpolicy.packetspace.intervals import Interval, IntervalSet

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
    found = [_patterns(interval) for interval in values]
    if any(patterns is None for patterns in found):
        return Interfaces()
    return Interfaces.of(pattern for patterns in found for pattern in patterns or ())


def _patterns(interval: Interval) -> list[str] | None:
    """Names and patterns one after the other, as far as they fit; one pattern around the rest."""
    first, last = interval
    found: list[str] = []
    while first <= last:
        pattern = _longest_run(first, last)
        if pattern is None:
            around = _around(first, last)
            return None if around is None else [*found, around]
        found.append(pattern)
        first = pattern_interval(pattern)[1] + 1
    return found


def _longest_run(first: int, last: int) -> str | None:
    """The pattern or name that begins at a value and ends no later than another."""
    beginning = first.to_bytes(_BYTES).rstrip(b"\0")
    end = int.from_bytes(beginning.ljust(_BYTES, b"\xff"))
    return interval_pattern((first, end)) if end <= last else interval_pattern((first, first))


def _around(first: int, last: int) -> str | None:
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first.to_bytes(_BYTES), last.to_bytes(_BYTES), strict=True))
    pattern = "".join(chr(byte) for byte, _ in alike).rstrip("\0") + "*"
    return pattern if is_interface_pattern(pattern) else None
