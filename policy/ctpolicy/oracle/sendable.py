"""Which packets can be shown to their hooks in the worlds of the oracle, and by which devices."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.packet import Packet

UNNAMED: Final = "_unnamed_"
"""The device for packets whose interface no policy names."""

DEVICES: Final = ("eth0", "eth1", "eth10", "bond0", "bond1", "ens192", "vxlan0", UNNAMED)


_PLAIN: Final = re.compile(r"[a-z][a-z0-9._]{0,12}")
"""Names of devices that also leave room for that of their other end."""

_MOST_DEVICES: Final = 8
_MADE_WITH_A_NAMESPACE: Final = frozenset(
    {"tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0", "all", "default"}
)
"""Fallback devices of tunnels, of which a kernel may make one in each namespace; and two names in /proc/sys/net."""


def devices_for(names: Iterable[str]) -> tuple[str, ...]:
    """The devices of worlds in which packets of these interfaces are shown: the first few that can be made."""
    plain = (name for name in dict.fromkeys(names) if _PLAIN.fullmatch(name) and name not in _MADE_WITH_A_NAMESPACE)
    others = (name for name in plain if name not in (LOOPBACK, *DEVICES))
    return (*DEVICES, *islice(others, _MOST_DEVICES))


def can_be_sent(packet: Packet, devices: Collection[str] = DEVICES) -> bool:
    """Whether the oracle can show this packet to its hook.

    The kernel drops some before any hook sees them, or gives them other addresses: from the wire, IPv6 sources that
    are `::1`, multicast or IPv4-mapped, and the destinations `::1` and multicast of scope 0 and 1 (it stays in its
    host); when sent, an unspecified source or destination, and loopback addresses by another device. Multicast and
    broadcast are always taken, so they are never on path forward, and neither is what is a device's own: `lo`'s
    addresses, and fe80::/64 with its anycast address.
    """
    if packet.interface and packet.interface not in (LOOPBACK, *devices):
        return False
    if packet.path is Path.OUT:
        return _can_leave(packet)
    if packet.path is Path.FORWARD and _is_taken_anywhere(packet):
        return False
    return packet.family is Family.IPV4 or _survives_ip6_rcv(packet)


def _can_leave(packet: Packet) -> bool:
    source, destination = packet.source, packet.destination
    if source.is_unspecified or _is_unroutable(packet):
        return False
    if packet.interface == LOOPBACK:
        return True
    return not destination.is_loopback


def _is_unroutable(packet: Packet) -> bool:
    if packet.destination.version == 4:
        return packet.destination.packed[0] == 0
    return packet.destination.is_unspecified


def _survives_ip6_rcv(packet: Packet) -> bool:
    source, destination = packet.source, packet.destination
    assert source.version == 6 and destination.version == 6
    if source.is_loopback or source.is_multicast or source.ipv4_mapped is not None:
        return False
    stays_in_its_host = destination.is_multicast and destination.packed[1] & 0x0F <= 1
    return not destination.is_loopback and not stays_in_its_host


def _is_taken_anywhere(packet: Packet) -> bool:
    destination = packet.destination
    if destination.is_multicast or destination.is_loopback or destination.is_unspecified:
        return True
    if destination.version == 6:
        return destination.packed[:8] == b"\xfe\x80\0\0\0\0\0\0"
    return destination.packed[0] == 0 or destination.packed == b"\xff\xff\xff\xff"
