"""What no untracked packet has, though most of its like have it: the exceptions that track entries stand for.

A network of services in a host that leaves all of VXLAN untracked, a range of ports, an interface. No entry says so by
itself; but if bypass entries may hold such packets too, and a track entry takes them away again, the overlay is an
overlay, not all addresses but a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Final

from ctpolicy.importing.interfaces import exact_interfaces
from ctpolicy.packetspace.fields import PORT_BITS, PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.interface_values import INTERFACE_BITS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FAMILIES, Box, Field, family_set

_NONE: Final = IntervalSet()
_WIDTHS: Final = {
    Field.SOURCE: 128,
    Field.DESTINATION: 128,
    Field.SOURCE_PORT: PORT_BITS,
    Field.DESTINATION_PORT: PORT_BITS,
    Field.INTERFACE: INTERFACE_BITS,
}


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Values that no packet of a set has, at neither of its ends.

    Args:
        addresses: by family.
        ports: by protocol.
        interfaces: as integers; names and patterns alone.
    """

    addresses: Mapping[Family, IntervalSet]
    ports: Mapping[int, IntervalSet]
    interfaces: IntervalSet

    def boxes(self) -> Iterator[Box]:
        """The packets that have them."""
        for family, addresses in self.addresses.items():
            for end in (Field.SOURCE, Field.DESTINATION):
                yield {Field.FAMILY: family_set(family), end: addresses}
        for protocol, ports in self.ports.items():
            for end in (Field.SOURCE_PORT, Field.DESTINATION_PORT):
                yield {Field.PROTOCOL: IntervalSet.single(protocol), end: ports}
        yield {Field.INTERFACE: self.interfaces}

    def left_out(self, box: Box) -> Box:
        """A box without them, where that says less: all addresses stay all."""
        return {field: self._less(box, field, values) for field, values in box.items()}

    def _less(self, box: Box, field: Field, values: IntervalSet) -> IntervalSet:
        if field not in _WIDTHS:
            return values
        less = values & self._of(box, field).complement(_WIDTHS[field])
        return less if less and len(less) <= len(values) else values

    def _of(self, box: Box, field: Field) -> IntervalSet:
        if field is Field.INTERFACE:
            return self.interfaces
        if field in (Field.SOURCE, Field.DESTINATION):
            (value, _), *_ = box[Field.FAMILY]  # with addresses, a box is of one family
            return self.addresses.get(FAMILIES[value], _NONE)
        protocols = [p for first, last in box.get(Field.PROTOCOL, _NONE) for p in range(first, last + 1)]
        return reduce(and_, (self.ports.get(protocol, _NONE) for protocol in protocols)) if protocols else _NONE


def exceptions_of(space: PacketSpace) -> Exceptions:
    """The exceptions of a set: values that it has not, if they are the lesser part."""
    addresses = {
        family: _absent(
            space & _one({Field.FAMILY: family_set(family)}), (Field.SOURCE, Field.DESTINATION), family.bits
        )
        for family in Family
    }
    ports = {
        protocol: _absent(
            space & _one({Field.PROTOCOL: IntervalSet.single(protocol)}),
            (Field.SOURCE_PORT, Field.DESTINATION_PORT),
            PORT_BITS,
        )
        for protocol in sorted(PROTOCOLS_WITH_PORTS)
    }
    return Exceptions(addresses, ports, _absent_interfaces(space))


def _one(box: Box) -> PacketSpace:
    return PacketSpace.of_boxes([box])


def _absent(space: PacketSpace, ends: tuple[Field, Field], bits: int) -> IntervalSet:
    used = space.values(ends[0]) | space.values(ends[1])
    absent = used.complement(bits)
    size = sum(last - first + 1 for first, last in absent)
    return absent if used and size < 1 << (bits - 1) else _NONE


def _absent_interfaces(space: PacketSpace) -> IntervalSet:
    absent = space.values(Field.INTERFACE).complement(INTERFACE_BITS)
    if 0 in absent:
        return _NONE
    return IntervalSet(tuple(one for one in absent if exact_interfaces(IntervalSet((one,))) is not None))
