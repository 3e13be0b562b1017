"""Packets near what rules name, for holding what is said of the rules against the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from ipaddress import IPv4Address, IPv6Address
from random import Random
from typing import Any, Final

from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.oracle.sendable import DEVICES, UNNAMED, can_be_sent
from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, LOOPBACK, PROTOCOLS_WITH_PORTS, Path
from ctpolicy.packetspace.packet import Address, Packet

PROTOCOLS: Final = (1, 6, 6, 6, 17, 17, 17, 17, 47, 58, 132)
INTERFACES: Final = ("", *(device for device in DEVICES if device != UNNAMED))
V4: Final = ("10.0.0.1", "192.0.2.1", "198.51.100.7", "224.0.0.5", "127.0.0.1")
V6: Final = ("fd00::1", "2001:db8::1", "fe80::1", "ff0e::1")


def agrees(space: Untracked, packet: Packet, untracked: bool) -> bool:
    """Whether what is said of a packet is what the kernel does."""
    return untracked if packet in space.certainly else untracked <= (packet in space.possibly)


def packets_near(ruleset: object, random: Random, count: int) -> list[Packet]:
    """Packets whose fields are at the edges of what the rules name, or just beyond."""
    edges = {end + by for interval in intervals(ruleset) for end in interval for by in (-1, 0, 0, 1)} | {40000}
    ports = sorted(edge for edge in edges if 0 <= edge < 1 << 16)
    ends: dict[int, Sequence[Address]] = {
        4: [IPv4Address(edge) for edge in sorted(edges) if 1 << 24 < edge < 1 << 32] + [*map(IPv4Address, V4 * 2)],
        6: [IPv6Address(edge) for edge in sorted(edges) if 1 << 64 < edge < 1 << 128] + [*map(IPv6Address, V6 * 2)],
    }
    found: list[Packet] = []
    while len(found) < count:
        path, protocol, version = random.choice([*Path]), random.choice(PROTOCOLS), random.choice((4, 4, 6))
        source, destination = random.choice(ends[version]), random.choice(ends[version])
        has_ports = protocol in PROTOCOLS_WITH_PORTS
        first, second = (random.choice(ports), random.choice(ports)) if has_ports else (None, None)
        if random.random() < 0.1 and version == 4 and not has_ports:
            protocol = random.choice([number for number in range(256) if number not in PROTOCOLS_WITH_PORTS])
        interface = random.choice((*INTERFACES, LOOPBACK) if path is Path.OUT else INTERFACES)
        if version == 6 and protocol in IPV6_EXTENSION_HEADERS:
            continue
        packet = Packet(path, protocol, source, destination, first, second, interface)
        if can_be_sent(packet):
            found.append(packet)
    return found


def intervals(part: Any) -> Iterator[tuple[int, int]]:
    """Every interval that the rules name."""
    match part:
        case (int(first), int(last)):
            yield first, last
        case tuple():
            for inner in part:
                yield from intervals(inner)
        case _ if is_dataclass(part):
            for field in fields(part):
                yield from intervals(getattr(part, field.name))
