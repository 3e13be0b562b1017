"""What no untracked packet has, though most of its like have it: the exceptions that track entries stand for.

A network of services in a host that leaves all of VXLAN untracked, a range of ports, an interface. No entry says so by
itself; but if bypass entries may hold such packets too, and a track entry takes them away again, the overlay is an
overlay, not all addresses but a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import reduce
from operator import and_
from typing import Final

from ctpolicy.importing.interfaces import exact_interfaces
from ctpolicy.packetspace.fields import LOOPBACK, PORT_BITS, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FAMILIES, Box, Field, family_set, path_set

_NONE: Final = IntervalSet()
_LOOPBACK: Final = IntervalSet.single(interface_value(LOOPBACK))
_WIDTHS: Final = {
    Field.SOURCE: 128,
    Field.DESTINATION: 128,
    Field.SOURCE_PORT: PORT_BITS,
    Field.DESTINATION_PORT: PORT_BITS,
    Field.INTERFACE: INTERFACE_BITS,
}


class Way(Enum):
    """How packets meet the host, as entries tell them apart: what is sent by `lo` is request and answer at once."""

    IN = "in"
    FORWARD = "forward"
    OUT = "out"
    LOOPBACK = "out by lo"

    @property
    def box(self) -> Box:
        """The packets that go this way."""
        return _WAYS[self]

    def meets(self, box: Box) -> bool:
        """Whether a box has packets that go this way."""
        return all(field not in box or box[field] & values for field, values in self.box.items())


_WAYS: Final[Mapping[Way, Box]] = {
    Way.IN: {Field.PATH: path_set(Path.IN)},
    Way.FORWARD: {Field.PATH: path_set(Path.FORWARD)},
    Way.OUT: {Field.PATH: path_set(Path.OUT), Field.INTERFACE: _LOOPBACK.complement(INTERFACE_BITS)},
    Way.LOOPBACK: {Field.PATH: path_set(Path.OUT), Field.INTERFACE: _LOOPBACK},
}


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Values that no packet of a set has.

    Args:
        addresses: by family; at neither end.
        ports: by way and protocol, at one end: a tracked service is a destination port of what comes in, and a source
            port of what is sent.
        interfaces: as integers; names and patterns alone.
    """

    addresses: Mapping[Family, IntervalSet]
    ports: Mapping[tuple[Way, int, Field], IntervalSet]
    interfaces: IntervalSet

    def boxes(self) -> Iterator[Box]:
        """The packets that have them."""
        for family, addresses in self.addresses.items():
            for end in (Field.SOURCE, Field.DESTINATION):
                yield {Field.FAMILY: family_set(family), end: addresses}
        for (way, protocol, end), ports in self.ports.items():
            yield {**way.box, Field.PROTOCOL: IntervalSet.single(protocol), end: ports}
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
        ways = [way for way in Way if way.meets(box)]
        found = [self.ports.get((way, protocol, field), _NONE) for way in ways for protocol in protocols]
        return reduce(and_, found) if found else _NONE


def exceptions_of(space: PacketSpace) -> Exceptions:
    """The exceptions of a set: values that it has not, if they are the lesser part."""
    addresses = {family: _absent_addresses(space, family) for family in Family}
    ports = {
        (way, protocol, end): _lesser(part.values(end), PORT_BITS)
        for way in Way
        for protocol in sorted(PROTOCOLS_WITH_PORTS)
        if (part := space & _one({**way.box, Field.PROTOCOL: IntervalSet.single(protocol)}))
        for end in (Field.SOURCE_PORT, Field.DESTINATION_PORT)
    }
    return Exceptions(addresses, ports, _absent_interfaces(space))


def _one(box: Box) -> PacketSpace:
    return PacketSpace.of_boxes([box])


def _absent_addresses(space: PacketSpace, family: Family) -> IntervalSet:
    of_family = space & _one({Field.FAMILY: family_set(family)})
    return _lesser(of_family.values(Field.SOURCE) | of_family.values(Field.DESTINATION), family.bits)


def _lesser(used: IntervalSet, bits: int) -> IntervalSet:
    """The values that are not used, if they are fewer than those that are."""
    absent = used.complement(bits)
    size = sum(last - first + 1 for first, last in absent)
    return absent if used and size < 1 << (bits - 1) else _NONE


def _absent_interfaces(space: PacketSpace) -> IntervalSet:
    absent = space.values(Field.INTERFACE).complement(INTERFACE_BITS)
    if 0 in absent:
        return _NONE
    return IntervalSet(tuple(one for one in absent if exact_interfaces(IntervalSet((one,))) is not None))
