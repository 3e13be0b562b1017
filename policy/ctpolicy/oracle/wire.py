"""Packets as bytes, each with its number in a field that nothing else here uses: IPv4 id, IPv6 flow label."""

from __future__ import annotations

import struct
from typing import Final

from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family
from ctpolicy.packetspace.packet import Packet

LARGEST_NUMBER: Final = 65535
"""What the IPv4 id holds; the flow label would hold more."""

_TCP, _DCCP = PROTOCOL_NUMBERS["tcp"], PROTOCOL_NUMBERS["dccp"]
_SCTP, _UDPLITE = PROTOCOL_NUMBERS["sctp"], PROTOCOL_NUMBERS["udplite"]
_DECOYS: Final = (4789, 53, 22, 0, 65535)
_ETHERNET: Final = {Family.IPV4: b"\x08\x00", Family.IPV6: b"\x86\xdd"}


def datagram(packet: Packet, number: int) -> bytes:
    """The packet from its IP header on."""
    transport = _transport(packet, number)
    if packet.family is Family.IPV6:
        header = struct.pack("!IHBB", 0x6 << 28 | number, len(transport), packet.protocol, 64)
        return header + packet.source.packed + packet.destination.packed + transport
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(transport), number, 0, 64, packet.protocol, 0)
    header += packet.source.packed + packet.destination.packed
    return header[:10] + _checksum(header) + header[12:] + transport


def frame(packet: Packet, number: int, receiver: bytes) -> bytes:
    """The packet as an Ethernet frame to a hardware address."""
    return receiver + b"\x02\x00\x00\x00\x00\x00" + _ETHERNET[packet.family] + datagram(packet, number)


def _transport(packet: Packet, number: int) -> bytes:
    """A transport header. One without ports carries, where ports would be, what a policy may well name."""
    if packet.source_port is None or packet.destination_port is None:
        decoy = _DECOYS[number % len(_DECOYS)]
        return struct.pack("!HH", decoy, decoy) + bytes(16)
    ports = struct.pack("!HH", packet.source_port, packet.destination_port)
    if packet.protocol == _TCP:
        return ports + struct.pack("!IIBBHHH", 1, 0, 0x50, 0x02, 512, 0, 0)
    if packet.protocol == _SCTP:
        return ports + struct.pack("!IIBBHIIHHI", 0, 0, 1, 0, 20, 1, 1500, 1, 1, 1)
    if packet.protocol == _DCCP:
        return ports + struct.pack("!BBHBBHII", 4, 0, 0, 1, 0, 0, 1, 0)
    coverage = 8 if packet.protocol == _UDPLITE else 12
    return ports + struct.pack("!HH", coverage, 0) + b"ping"


def _checksum(header: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return struct.pack("!H", ~total & 0xFFFF)
