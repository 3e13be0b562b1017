"""What a box covers of each field, as numbers that can be drawn: which values, of which frame, and how many.

A /16 is nothing to see on an axis of all IPv4 addresses, and neither is the one port that a range has lost. So a field
is looked at twice: where its values are among all (with a smallest width, or nobody would see them), and, where they
are several pieces in a small part of it, that part alone: the smallest prefix around addresses, the range around ports.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from ctpolicy.packetspace.box_text import values_text
from ctpolicy.packetspace.fields import PORT_BITS, PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.universe import FAMILIES, Box, Field

FIELDS: Final = {
    Field.SOURCE: "source",
    Field.SOURCE_PORT: "source port",
    Field.DESTINATION: "destination",
    Field.DESTINATION_PORT: "destination port",
}
"""The fields that are drawn as axes, in the order of the notation of packets."""

_NONE: Final = IntervalSet()

_ADDRESSES: Final = frozenset({Field.SOURCE, Field.DESTINATION})

SMALL_PART: Final = 1 / 3
"""Of a field: pieces that are all in so small a part of it are shown a second time, in that part alone."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The values that a box has in one field.

    Args:
        field: which one.
        family: of addresses.
        values: at least one.
        bits: how wide the field is.
        around: of what these values are a part, that does not change otherwise; nothing if that is not known.
    """

    field: Field
    family: Family
    values: IntervalSet
    bits: int
    around: IntervalSet = _NONE

    @property
    def name(self) -> str:
        """The field, in words."""
        return FIELDS[self.field]

    @property
    def is_any(self) -> bool:
        """Whether every value is there."""
        return self.values == IntervalSet.full(self.bits)

    @property
    def count(self) -> int:
        """How many values."""
        return sum(last - first + 1 for first, last in self.values)

    @property
    def whole(self) -> Interval:
        """The first and the last value of the field."""
        return 0, (1 << self.bits) - 1

    @property
    def beside(self) -> IntervalSet:
        """What is around the values and none of them."""
        return self.around & self.values.complement(self.bits)

    @property
    def hull(self) -> Interval:
        """The part of the field around all values: the smallest prefix of addresses, the range of ports."""
        return self._hull(self.values)

    @property
    def frame(self) -> Interval:
        """The same around what is drawn: the values, and what they are a part of."""
        return self._hull(self.values | self.around)

    def _hull(self, values: IntervalSet) -> Interval:
        first, last = values.intervals[0][0], values.intervals[-1][1]
        if self.field not in _ADDRESSES:
            return first, last
        free = (first ^ last).bit_length()
        return first >> free << free, first | (1 << free) - 1

    @property
    def left_out(self) -> IntervalSet:
        """What is in the hull and no value."""
        return self.values.complement(self.bits) & IntervalSet((self.hull,))

    @property
    def is_hull_but_few(self) -> bool:
        """Whether most of the hull is there, so that what is left out says more."""
        first, last = self.hull
        return len(self.left_out) < len(self.values) and 2 * self.count > last - first + 1

    @property
    def is_worth_a_closer_look(self) -> bool:
        """Whether there are pieces, or a part of something, that an axis of the whole field would hide."""
        first, last = self.frame
        is_in_pieces = len(self.values) > 1 or bool(self.beside)
        return is_in_pieces and last - first + 1 < SMALL_PART * (1 << self.bits)

    @property
    def words(self) -> str:
        """The values, the shorter way: all of them, or the frame and what is left out of it."""
        if self.is_any:
            return "any"
        if self.left_out and self.is_hull_but_few:
            hull = "any" if self.hull == self.whole else self.text(IntervalSet((self.hull,)))
            return f"{hull} but {self.text(self.left_out)}"
        return self.text(self.values)

    @property
    def words_around(self) -> str:
        """Of what the values are a part; empty if nobody knows, if it is anything, or if the words have it already."""
        is_said = self.around in (
            IntervalSet.full(self.bits),
            IntervalSet((self.hull,)) if self.is_hull_but_few else None,
        )
        return self.text(self.around) if self.beside and not is_said else ""

    def text(self, values: IntervalSet) -> str:
        """Some values of this field in words."""
        return values_text(self.field, values, self.family)


def family_of(box: Box) -> Family | None:
    """The family of a box's packets; None if they are of both."""
    families = box.get(Field.FAMILY)
    return FAMILIES[families.intervals[0][0]] if families is not None and families in _ONE_FAMILY else None


_ONE_FAMILY: Final = frozenset(IntervalSet.single(value) for value in range(len(FAMILIES)))


def extents(box: Box, around: Box | None = None) -> tuple[Extent, ...]:
    """The extents of a box, within what is around it; without ports where the packets have none."""
    family = family_of(box)
    return tuple(_extent(box, around, field, family) for field in FIELDS if field in _ADDRESSES or _has_ports(box))


def _extent(box: Box, around: Box | None, field: Field, family: Family | None) -> Extent:
    bits = PORT_BITS if field not in _ADDRESSES else (family or Family.IPV6).bits
    everything = IntervalSet.full(bits)
    values = box.get(field, everything) & everything
    wider = _NONE if around is None else around.get(field, everything) & everything
    is_part = values & wider == values
    return Extent(field, family or Family.IPV6, values, bits, wider if is_part else _NONE)


def _has_ports(box: Box) -> bool:
    """Whether any of the packets may have ports: those of gre have none to be drawn."""
    protocols = box.get(Field.PROTOCOL)
    return protocols is None or any(number in protocols for number in PROTOCOLS_WITH_PORTS)


def shares(values: IntervalSet, frame: Interval, steps: int) -> list[float]:
    """How much of each of so many equal steps of a frame is there, from 0 to 1."""
    size = (frame[1] - frame[0] + 1) / steps
    found = [0.0] * steps
    for first, last in values & IntervalSet((frame,)):
        start, end = (first - frame[0]) / size, (last + 1 - frame[0]) / size
        for step in range(int(start), min(steps, ceil(end))):
            found[step] += min(end, step + 1) - max(start, step)
    return [min(1.0, share) for share in found]
