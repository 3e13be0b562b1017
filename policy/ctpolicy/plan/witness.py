"""Packets that show what an entry does: one from each of its legs."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ctpolicy.language.policy import Entry
from ctpolicy.meaning import Leg, legs
from ctpolicy.packetspace.fields import LOOPBACK, PORT_BITS, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Address, Packet

_SOMEBODY: Final = {Family.IPV4: int(IPv4Address("192.0.2.1")), Family.IPV6: int(IPv6Address("2001:db8::1"))}
"""Addresses that are set aside for examples (RFC 5737, RFC 3849)."""

_EPHEMERAL_PORT: Final = 40000


_SAMPLES: Final = 16
"""Packets from one leg, at the ends of as many of its intervals: more would take long where no witness is found."""


def sample_packets(entry: Entry) -> Iterator[Packet]:
    """Packets from each leg of an entry, at the ends of its intervals, and ordinary ones where it leaves a choice."""
    for leg in legs(entry):
        choices = max(map(len, (leg.source, leg.destination, leg.source_ports, leg.destination_ports)))
        for turn in range(min(2 * choices, _SAMPLES)):
            packet = _sample(leg, turn)
            if packet is not None:
                yield packet


def _sample(leg: Leg, turn: int) -> Packet | None:
    protocol = 6 if leg.protocol is None else leg.protocol
    has_ports = protocol in PROTOCOLS_WITH_PORTS
    try:
        return Packet(
            leg.path,
            protocol,
            _address(leg.source, leg.family, turn, _SOMEBODY[leg.family]),
            _address(leg.destination, leg.family, turn, _SOMEBODY[leg.family] + 1),
            _port(leg.source_ports, turn) if has_ports else None,
            _port(leg.destination_ports, turn) if has_ports else None,
            _interface(leg.interfaces, leg.path),
        )
    except ValueError:
        return None  # a box that holds no real packet, such as an extension header of IPv6


def _address(values: IntervalSet, family: Family, turn: int, ordinary: int) -> Address:
    value = ordinary if values == IntervalSet.full(family.bits) else _end(values, turn)
    return IPv4Address(value) if family is Family.IPV4 else IPv6Address(value)


def _port(values: IntervalSet, turn: int) -> int:
    return _EPHEMERAL_PORT if values == IntervalSet.full(PORT_BITS) else _end(values, turn)


def _end(values: IntervalSet, turn: int) -> int:
    """The first and last member of each interval in turn."""
    return values.intervals[turn // 2 % len(values)][turn % 2]


def _interface(interfaces: Interfaces, path: Path) -> str:
    if interfaces.is_any:
        return ""
    usable = [name for name in interfaces.names if path is Path.OUT or name != LOOPBACK]
    return usable[0] if usable else f"{interfaces.wildcards[0][:-1]}0"
