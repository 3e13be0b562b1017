"""Packets where a policy changes its mind: on, just inside and just outside of everything that it names.

A packet begins inside one leg of one entry, at an end of each interval or somewhere within. Then some of its fields
are moved: over the edge, to what another entry says, to another path, or to the answer's direction.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from ctpolicy.language.policy import ANY_PORT, Policy
from ctpolicy.meaning import Leg, Meaning
from ctpolicy.packetspace.fields import (
    IPV6_EXTENSION_HEADERS,
    LOOPBACK,
    PORT_BITS,
    PROTOCOL_NUMBERS,
    PROTOCOLS_WITH_PORTS,
    Family,
    Path,
)
from ctpolicy.packetspace.interfaces import LONGEST_NAME, Interfaces
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Address, Packet

_PATHS: Final = tuple(Path)
_FAMILIES: Final = tuple(Family)
_PROTOCOLS: Final = tuple(PROTOCOL_NUMBERS[name] for name in ("tcp", "udp", "sctp", "icmp", "icmpv6", "gre", "esp"))
_PORTS: Final = (0, 1, 22, 53, 1023, 1024, 4789, 32768, 65535)
_INTERFACES: Final = ("", "eth0", "eth1", "bond0")
_ADDRESSES: Final = {
    Family.IPV4: ("10.0.0.1", "192.0.2.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "172.30.0.10", "203.0.113.9"),
    Family.IPV6: ("fd00::1", "2001:db8::1", "::1", "fe80::1", "ff02::1", "ff0e::1", "2001:db8:ffff::9"),
}
_MOST_REJECTED: Final = 1000
"""In a row; then no packet can be had, and it is an error."""


def boundary_packets(
    policy: Policy, random: Random, count: int, keep: Callable[[Packet], bool] = lambda _: True
) -> list[Packet]:
    """Packets near the boundaries of a policy, the same for the same state of `random`.

    Args:
        policy: whose boundaries.
        random: where every choice comes from.
        count: how many packets; some may be equal.
        keep: packets for which this is false are replaced by others.

    Raises:
        ValueError: `keep` refused a thousand packets in a row.
    """
    source = _Source.of(policy, random)
    packets: list[Packet] = []
    rejected = 0
    while len(packets) < count:
        packet = source.packet()
        if keep(packet):
            packets.append(packet)
            rejected = 0
        elif (rejected := rejected + 1) > _MOST_REJECTED:
            raise ValueError(f"`keep` refuses every packet, this one for example: {packet}")
    return packets


def boundary_source(policy: Policy) -> Callable[[Random], Packet]:
    """What makes one packet near the boundaries of a policy from random choices; for many, its legs are found once."""
    entries = _Source.of(policy, Random()).entries  # noqa: S311
    return lambda random: _Source(entries, random).packet()


@dataclass(slots=True)
class _Fields:
    """A packet in the making; protocols without ports lose theirs in the end."""

    path: Path
    family: Family
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int
    interface: str


@dataclass(frozen=True, slots=True)
class _Source:
    """All the legs of a policy, by entry, and where choices come from."""

    entries: Sequence[Sequence[Leg]]
    random: Random

    @classmethod
    def of(cls, policy: Policy, random: Random) -> _Source:
        meaning = Meaning.of(policy)
        return cls([legs for _, legs in (*meaning.bypass, *meaning.track) if legs], random)

    def packet(self) -> Packet:
        """One packet."""
        fields = self._inside(self._leg())
        if self.random.random() < 0.15:
            _turn(fields)
        for _ in range(self.random.choice((0, 0, 1, 1, 1, 2, 3))):
            self._move(fields)
        return _packet(fields)

    def _leg(self) -> Leg:
        if not self.entries:
            family = self.random.choice(_FAMILIES)
            anyone = IntervalSet.full(family.bits)
            return Leg(self.random.choice(_PATHS), family, None, anyone, anyone)
        return self.random.choice(self.random.choice(self.entries))

    def _inside(self, leg: Leg) -> _Fields:
        return _Fields(
            leg.path,
            leg.family,
            self._protocol() if leg.protocol is None else leg.protocol,
            self._address(leg.source, leg.family),
            self._address(leg.destination, leg.family),
            self._port(leg.source_ports),
            self._port(leg.destination_ports),
            self._interface(leg.interfaces),
        )

    def _move(self, fields: _Fields) -> None:
        """Change one field to what lies near, in the same leg's terms or another's."""
        leg = self._leg()
        family = fields.family
        match self.random.randrange(8):
            case 0:
                fields.path = self.random.choice(_PATHS)
            case 1:
                fields.protocol = self._protocol() if leg.protocol is None else leg.protocol
            case 2:
                fields.source = self._beyond(leg.source, fields.source, family, leg.family)
            case 3:
                fields.destination = self._beyond(leg.destination, fields.destination, family, leg.family)
            case 4:
                fields.source_port = self._beyond_port(leg.source_ports, fields.source_port)
            case 5:
                fields.destination_port = self._beyond_port(leg.destination_ports, fields.destination_port)
            case 6:
                fields.interface = self._other_interface(leg.interfaces)
            case 7:
                fields.protocol = self._protocol()

    def _protocol(self) -> int:
        return self.random.randrange(256) if self.random.random() < 0.2 else self.random.choice(_PROTOCOLS)

    def _address(self, values: IntervalSet, family: Family) -> int:
        if len(values) == 1 and values.intervals[0] == (0, (1 << family.bits) - 1):
            return int(ipaddress.ip_address(self.random.choice(_ADDRESSES[family])))
        return self._within(values)

    def _port(self, values: IntervalSet) -> int:
        return self.random.choice(_PORTS) if values == ANY_PORT else self._within(values)

    def _within(self, values: IntervalSet) -> int:
        first, last = self.random.choice(values.intervals)
        where = self.random.randrange(3)
        return first if where == 0 else last if where == 1 else self.random.randint(first, last)

    def _beyond(self, values: IntervalSet, present: int, family: Family, leg_family: Family) -> int:
        if family is not leg_family or self.random.random() < 0.3:
            return _step(present, self.random.choice((-1, 1)), family.bits)
        first, last = self.random.choice(values.intervals)
        return self.random.choice((first, last, _step(first, -1, family.bits), _step(last, 1, family.bits)))

    def _beyond_port(self, values: IntervalSet, present: int) -> int:
        if values == ANY_PORT:
            return _step(present, self.random.choice((-1, 1)), PORT_BITS)
        first, last = self.random.choice(values.intervals)
        return self.random.choice((first, last, _step(first, -1, PORT_BITS), _step(last, 1, PORT_BITS)))

    def _interface(self, interfaces: Interfaces) -> str:
        if not interfaces.patterns:
            return self.random.choice(_INTERFACES)
        pattern = self.random.choice(interfaces.patterns)
        if not pattern.endswith("*"):
            return pattern
        return (pattern[:-1] + self.random.choice(("", "0", "1", "10")))[:LONGEST_NAME]

    def _other_interface(self, interfaces: Interfaces) -> str:
        near = self._interface(interfaces)
        return self.random.choice((near, near[:-1], (near + "0")[:LONGEST_NAME], LOOPBACK, *_INTERFACES))


def _turn(fields: _Fields) -> None:
    """Make it the packet that answers it; the path stays."""
    fields.source, fields.destination = fields.destination, fields.source
    fields.source_port, fields.destination_port = fields.destination_port, fields.source_port


def _step(value: int, by: int, bits: int) -> int:
    return min(max(value + by, 0), (1 << bits) - 1)


def _packet(fields: _Fields) -> Packet:
    """The packet, with what no host can meet put right."""
    protocol, interface = fields.protocol, fields.interface
    if fields.family is Family.IPV6 and protocol in IPV6_EXTENSION_HEADERS:
        protocol = PROTOCOL_NUMBERS["udp"]
    if interface in {".", ".."} or (interface == LOOPBACK and fields.path is not Path.OUT):
        interface = ""
    has_ports = protocol in PROTOCOLS_WITH_PORTS
    return Packet(
        fields.path,
        protocol,
        _address(fields.source, fields.family),
        _address(fields.destination, fields.family),
        fields.source_port if has_ports else None,
        fields.destination_port if has_ports else None,
        interface,
    )


def _address(value: int, family: Family) -> Address:
    return ipaddress.IPv4Address(value) if family is Family.IPV4 else ipaddress.IPv6Address(value)
