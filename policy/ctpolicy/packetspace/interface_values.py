"""Interfaces as integers: a name's bytes, filled up with zeros, so that a pattern is an interval of integers.

0 is an interface that nobody names. Between names there are integers that no name has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.packetspace.interfaces import LONGEST_NAME, Interfaces, is_interface_name
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_BYTES: Final = LONGEST_NAME + 1
"""The kernel's IFNAMSIZ."""

INTERFACE_BITS: Final = 8 * _BYTES

_ALPHABET: Final = bytes(byte for byte in range(1, 128) if is_interface_name(f"a{chr(byte)}"))


def interface_value(name: str) -> int:
    """An interface's name as an integer."""
    return int.from_bytes(name.encode("ascii").ljust(_BYTES, b"\0"))


def interface_name(value: int) -> str:
    """The name that is this integer; the inverse of `interface_value`."""
    return value.to_bytes(_BYTES).rstrip(b"\0").decode("ascii")


def interface_set(interfaces: Interfaces) -> IntervalSet:
    """Names and patterns as integers."""
    if interfaces.patterns is None:
        return IntervalSet.full(INTERFACE_BITS)
    return IntervalSet.of(pattern_interval(pattern) for pattern in interfaces.patterns)


def pattern_interval(pattern: str) -> Interval:
    """The names that one name, or the beginning of one and a `*`, stands for."""
    if not pattern.endswith("*"):
        return interface_value(pattern), interface_value(pattern)
    beginning = pattern[:-1].encode("ascii")
    return int.from_bytes(beginning.ljust(_BYTES, b"\0")), int.from_bytes(beginning.ljust(_BYTES, b"\xff"))


def interval_pattern(interval: Interval) -> str | None:
    """The name or pattern that stands for this interval; the inverse of `pattern_interval`. None if none does."""
    beginning = interval[0].to_bytes(_BYTES).rstrip(b"\0")
    for pattern in (beginning, beginning + b"*"):
        if all(byte in _ALPHABET or byte == ord("*") for byte in pattern):
            text = pattern.decode("ascii")
            if text != "*" and pattern_interval(text) == interval:
                return text
    return None


def names_within(first: int, last: int) -> Iterator[int]:
    """A few of the interfaces in an interval: the one without a name, ordinary names, the first; nothing if none is."""
    if first == 0:
        yield 0
    name = next_name(max(first, 1))
    usual = [interface_value("eth0")]
    if name is not None and name <= last:
        first_name = interface_name(name)
        usual += [
            interface_value(text[:LONGEST_NAME]) for text in (f"{first_name[:-1]}0", f"{first_name}0", first_name)
        ]
    yield from (value for value in usual if first <= value <= last)


def next_name(value: int) -> int | None:
    """The least integer from this one on that is an interface's name; None if there is none."""
    octets = value.to_bytes(_BYTES)
    length = 0
    while length < LONGEST_NAME and octets[length] in _ALPHABET:
        length += 1
    if length and not any(octets[length:]):
        return _unless_reserved(value)
    for cut in range(min(length, LONGEST_NAME - 1), -1, -1):
        larger = next((byte for byte in _ALPHABET if byte > octets[cut]), None)
        if larger is not None:
            return _unless_reserved(int.from_bytes((octets[:cut] + bytes([larger])).ljust(_BYTES, b"\0")))
    return None


def _unless_reserved(value: int) -> int | None:
    return value if is_interface_name(interface_name(value)) else next_name(value + 1)
