"""Traffic by the hundred thousand: a TUN device whose packets are written from templates, each flow with its own ends.

The kernel takes 200,000 packets a second from it, each a new flow or a step of a handshake. Two addresses of a packet
are varied so that their sum, and with it the checksum of the header, stays as it is; of TCP, no checksum is made, and
the namespace does not ask for one.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from kernel.namespace import Namespace

NODE: Final = "192.168.7.71"
"""This host's address among its peers."""

CLIENTS: Final = "10.64.0.0/16"
SERVERS: Final = "10.65.0.0/16"
VXLAN_PEERS: Final = "192.168.8.0/24"

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_TCP, _UDP = 6, 17
_VXLAN: Final = 4789
_SYN, _SYN_ACK, _ACK = 0x02, 0x12, 0x10
_ENDS: Final = struct.Struct("!II")
_FLOWS_A_PORT: Final = 1 << 16
_PEERS: Final = 256


@dataclass(slots=True)
class Flood:
    """A host's uplink `tun0`, from which packets come; what is sent to it is lost.

    Args:
        host: whose it is.
        device: the descriptor through which packets are written.
        made: how many flows of VXLAN there were; each has its own.
    """

    host: Namespace
    device: int
    made: int = 0

    def handshakes(self, first: int, number: int, port: int) -> None:
        """TCP connections that this host forwards, each from SYN to ACK, and left open: three packets a flow."""
        for flow in range(first, first + number):
            low = flow % _FLOWS_A_PORT
            if low == 0 or flow == first:
                client_port = 40_000 + flow // _FLOWS_A_PORT
                syn = _segment(client_port, port, 1000, 0, _SYN)
                syn_ack = _segment(port, client_port, 2000, 1001, _SYN_ACK)
                ack = _segment(client_port, port, 1001, 2001, _ACK)
            there, back = _varied(_THERE, low), _varied(_BACK, -low)
            os.write(self.device, there + syn)
            os.write(self.device, back + syn_ack)
            os.write(self.device, there + ack)

    def vxlan(self, number: int) -> None:
        """Outer packets of VXLAN to this host, each of another flow; nobody answers these."""
        headers = [_header(_UDP, 16, f"192.168.8.{peer}", NODE) for peer in range(_PEERS)]
        for flow in range(self.made, self.made + number):
            ports = struct.pack("!HHHH", 1024 + flow // _PEERS, _VXLAN, 16, 0)
            os.write(self.device, headers[flow % _PEERS] + ports + bytes(8))
        self.made += number

    def answer(self, source: str, source_port: int, port: int) -> None:
        """One datagram to this host."""
        datagram = struct.pack("!HHHH", source_port, port, 8, 0)
        os.write(self.device, _header(_UDP, len(datagram), source, NODE) + datagram)


@contextmanager
def flood(host: Namespace) -> Iterator[Flood]:
    """An uplink of a host, as its default route, with the host's address among its peers."""
    with host.entered():
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", b"tun0", _IFF_TUN | _IFF_NO_PI))
        tunnel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        tunnel.bind(("", _VXLAN))  # who takes the packets: without, each is answered with an ICMP error
        host.ip(f"address add {NODE}/32 dev tun0", "link set tun0 up", "route add default dev tun0")
        for setting in ("all/rp_filter", "tun0/rp_filter", "all/send_redirects", "tun0/send_redirects"):
            host.write(f"ipv4/conf/{setting}", 0)
        host.write("ipv4/ip_forward", 1)
        host.write("netfilter/nf_conntrack_checksum", 0)
        yield Flood(host, device)
    finally:
        tunnel.close()
        os.close(device)


def _varied(header: bytes, by: int) -> bytes:
    """The same header with the source so much higher and the destination so much lower."""
    source, destination = _ENDS.unpack_from(header, 12)
    return header[:12] + _ENDS.pack(source + by, destination - by)


def _header(protocol: int, length: int, source: str, destination: str) -> bytes:
    ends = IPv4Address(source).packed + IPv4Address(destination).packed
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, protocol, 0) + ends
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total += total >> 16
    return header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]


def _segment(source_port: int, destination_port: int, sequence: int, acknowledged: int, flags: int) -> bytes:
    return struct.pack("!HHIIBBHHH", source_port, destination_port, sequence, acknowledged, 0x50, flags, 512, 0, 0)


_THERE: Final = _header(_TCP, 20, "10.64.0.0", "10.65.255.255")
_BACK: Final = _header(_TCP, 20, "10.65.255.255", "10.64.0.0")
