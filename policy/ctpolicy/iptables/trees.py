"""Fields by which a tree of chains can narrow boxes, block by block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ctpolicy.iptables.prefixes import within
from ctpolicy.iptables.questions import address_match, port_match
from ctpolicy.iptables.ruleset import End, Match, Protocol
from ctpolicy.netfilter.boxes import Box
from ctpolicy.packetspace.fields import PORT_BITS, Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a tree can narrow: its letter in names, and how to ask about it."""

    letter: str
    is_port: bool
    bits: Callable[[Family], int]
    values: Callable[[Box], IntervalSet | None]
    narrowed: Callable[[Box, IntervalSet | None], Box]
    matches: Callable[[int | None, Interval], tuple[Match, ...]]


def _port_matches(end: End) -> Callable[[int | None, Interval], tuple[Match, ...]]:
    def matches(protocol: int | None, block: Interval) -> tuple[Match, ...]:
        assert protocol is not None, "ports without a protocol"
        return (Protocol(protocol), port_match(protocol, end, block))

    return matches


FIELDS: Final = (
    Field(
        "D",
        True,
        lambda _: PORT_BITS,
        lambda box: box.destination_ports,
        lambda box, values: box._replace(destination_ports=values),
        _port_matches(End.DESTINATION),
    ),
    Field(
        "S",
        True,
        lambda _: PORT_BITS,
        lambda box: box.source_ports,
        lambda box, values: box._replace(source_ports=values),
        _port_matches(End.SOURCE),
    ),
    Field(
        "FROM",
        False,
        lambda family: family.bits,
        lambda box: box.source,
        lambda box, values: box._replace(source=values),
        lambda _, block: (address_match(End.SOURCE, block),),
    ),
    Field(
        "TO",
        False,
        lambda family: family.bits,
        lambda box: box.destination,
        lambda box, values: box._replace(destination=values),
        lambda _, block: (address_match(End.DESTINATION, block),),
    ),
)


def parts_of(field: Field, given: Iterable[Box], block: Interval, bits: int) -> Iterable[list[Box]]:
    """What boxes hold of each of the 2^bits parts of a block, or of each of its values if it has fewer; parts of which
    none holds any are left out."""
    first, last = block
    size = max(1, (last - first + 1) >> bits)
    parts: dict[int, list[Box]] = defaultdict(list)
    for box in given:
        values = field.values(box) or IntervalSet()
        for part in dict.fromkeys(
            part for a, b in values for part in range((a - first) // size, (b - first) // size + 1)
        ):
            begin = first + part * size
            parts[part].append(field.narrowed(box, within(values, (begin, begin + size - 1))))
    return (parts[part] for part in sorted(parts))


def block_label(letter: str, block: Interval, bits: int) -> str:
    """A block as part of a name: its first value in hexadecimal, and how many bits are fixed."""
    first, last = block
    fixed = bits - (last - first).bit_length()
    return f"{letter}{first:X}.{fixed}"
