"""The ways of packets through a host: which hooks they meet, in which order."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ctpolicy.hazards.rules import Hook
from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, path_set


class Route(Enum):
    """A packet's way. What goes through `lo` leaves and comes in again: path out, and a route of its own."""

    IN = "in"
    FORWARD = "forward"
    OUT = "out"
    LOOPBACK = "loopback"

    @property
    def hooks(self) -> tuple[Hook, ...]:
        """The hooks that its packets meet, in order."""
        return _HOOKS[self]

    @property
    def packets(self) -> PacketSpace:
        """All packets that take it."""
        return _PACKETS[self]

    @classmethod
    def of(cls, packet: Packet) -> Route:
        """The route of one packet."""
        if packet.path is Path.OUT:
            return cls.LOOPBACK if packet.interface == LOOPBACK else cls.OUT
        return cls(packet.path.value)


_HOOKS: Final = {
    Route.IN: (Hook.PREROUTING, Hook.INPUT),
    Route.FORWARD: (Hook.PREROUTING, Hook.FORWARD, Hook.POSTROUTING),
    Route.OUT: (Hook.OUTPUT, Hook.POSTROUTING),
    Route.LOOPBACK: (Hook.OUTPUT, Hook.POSTROUTING, Hook.PREROUTING, Hook.INPUT),
}
_LO: Final = IntervalSet.single(interface_value(LOOPBACK))
_PACKETS: Final = {
    Route.IN: PacketSpace.of_boxes([{Field.PATH: path_set(Path.IN)}]),
    Route.FORWARD: PacketSpace.of_boxes([{Field.PATH: path_set(Path.FORWARD)}]),
    Route.OUT: PacketSpace.of_boxes(
        [{Field.PATH: path_set(Path.OUT), Field.INTERFACE: _LO.complement(INTERFACE_BITS)}]
    ),
    Route.LOOPBACK: PacketSpace.of_boxes([{Field.PATH: path_set(Path.OUT), Field.INTERFACE: _LO}]),
}
