"""The kernel asked about packets: which of them does the ruleset that is loaded leave untracked?

A packet is made of bytes and shown to a real hook. Frames written to one end of a veth pair meet prerouting with
the other end as their interface; raw sockets bound to a device meet output. In and forward differ only in whether
the host takes the destination, so there are two worlds with the same devices:

- **home**, where every unicast address is local: packets on path in, and out through `lo`;
- **transit**, where nothing but `lo`'s own is local: packets on path forward, and out through the other devices.

Behind raw (-300) and before conntrack (-200) a recorder notes each packet's number in one of two sets, by what
`ct state untracked` says of it there, and drops it. So no entries are made, conntrack is active (the recorder asks
for it), and a packet that is in neither set has not been decided: that is an error, never "tracked".
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.packet import Packet
from kernel.namespace import Namespace
from kernel.wire import LARGEST_NUMBER, datagram, frame

UNNAMED: Final = "_unnamed_"
"""The device for packets whose interface no policy names."""

DEVICES: Final = ("eth0", "eth1", "eth10", "bond0", "bond1", "ens192", "vxlan0", UNNAMED)
_RECEIVER: Final = b"\x02\x00\x00\x00\x00\x01"
_PATIENCE: Final = 5.0

_RECORDER: Final = """
table inet oracle {
  set untracked_v4 { typeof ip id; flags dynamic; size 65536; }
  set untracked_v6 { typeof ip6 flowlabel; flags dynamic; size 65536; }
  set tracked_v4 { typeof ip id; flags dynamic; size 65536; }
  set tracked_v6 { typeof ip6 flowlabel; flags dynamic; size 65536; }
  chain record {
    ct state untracked meta nfproto ipv4 add @untracked_v4 { ip id } drop
    ct state untracked meta nfproto ipv6 add @untracked_v6 { ip6 flowlabel } drop
    meta nfproto ipv4 add @tracked_v4 { ip id } drop
    meta nfproto ipv6 add @tracked_v6 { ip6 flowlabel } drop
  }
  chain prerouting { type filter hook prerouting priority -250; jump record; }
  chain output { type filter hook output priority -250; jump record; }
}
"""
_NO_TABLE: Final = "table inet ctpolicy\ndelete table inet ctpolicy\n"
_FORGET: Final = "".join(
    f"flush set inet oracle {verdict}_{version}\n" for verdict in ("untracked", "tracked") for version in ("v4", "v6")
)


class OracleError(Exception):
    """The kernel gave no answer, or two; whatever was asked, the question was wrong."""


@dataclass(slots=True)
class World:
    """One namespace with the devices, the recorder, and sockets that write to each device."""

    namespace: Namespace
    writers: dict[str, socket.socket] = field(default_factory=dict)
    senders: dict[tuple[str, Family], socket.socket] = field(default_factory=dict)

    @classmethod
    def make(cls, namespace: Namespace, *routes: str) -> World:
        """Furnish an empty namespace."""
        for sysctl in ("all/accept_dad", "default/accept_dad", "all/accept_ra", "default/accept_ra"):
            namespace.write(f"ipv6/conf/{sysctl}", 0)
        namespace.write("ipv6/auto_flowlabels", 0)  # what the kernel itself sends is to have no number
        receiver = _RECEIVER.hex(":")
        for device in DEVICES:
            namespace.ip(
                f"link add {device} address {receiver} type veth peer name w-{device}",
                f"link set {device} up",
                f"link set w-{device} up",
            )
            namespace.write(f"ipv6/conf/w-{device}/disable_ipv6", 1)
        namespace.ip("link set lo multicast on", *routes)
        namespace.load(_RECORDER)
        world = cls(namespace)
        with namespace.entered():
            world._open()
        return world

    def _open(self) -> None:
        for device in DEVICES:
            self.writers[device] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.writers[device].bind((f"w-{device}", 0))
        for device in (LOOPBACK, *DEVICES):
            for family, domain in ((Family.IPV4, socket.AF_INET), (Family.IPV6, socket.AF_INET6)):
                sender = socket.socket(domain, socket.SOCK_RAW, socket.IPPROTO_RAW)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                self.senders[device, family] = sender

    def show(self, packet: Packet, number: int) -> None:
        """Let the packet meet its hook."""
        if not can_be_sent(packet):
            raise OracleError(f"this cannot be shown to its hook: `{packet}`")
        device = packet.interface or UNNAMED
        if packet.path is not Path.OUT:
            self.writers[device].send(frame(packet, number, _RECEIVER))
            return
        try:
            self.senders[device, packet.family].sendto(datagram(packet, number), (str(packet.destination), 0))
        except PermissionError:
            pass  # the recorder dropped it, as it is meant to
        except OSError as error:
            raise OracleError(f"the kernel does not send `{packet}`: {error}") from error

    def recorded(self) -> tuple[set[int], set[int]]:
        """The numbers of the packets that the recorder saw untracked, and of those that it saw tracked."""
        listing = json.loads(self.namespace.run("nft", "-j", "list", "table", "inet", "oracle").stdout)
        sets = {item["set"]["name"]: item["set"].get("elem", []) for item in listing["nftables"] if "set" in item}
        return (
            {*sets["untracked_v4"], *sets["untracked_v6"]},
            {*sets["tracked_v4"], *sets["tracked_v6"]},
        )

    def forget(self) -> None:
        """Empty the recorder."""
        self.namespace.load(_FORGET)

    def close(self) -> None:
        """Close the sockets and the namespace."""
        for opened in (*self.writers.values(), *self.senders.values()):
            opened.close()
        self.namespace.close()


class Oracle:
    """Two worlds, and the question to them.

    Args:
        home: an empty namespace for the world where every address is local; the oracle closes it.
        transit: an empty namespace for the other world; likewise.
    """

    def __init__(self, home: Namespace, transit: Namespace) -> None:
        self.home = World.make(home, *home_routes())
        self.transit = World.make(transit, *transit_routes())

    @property
    def worlds(self) -> tuple[World, World]:
        """Both of them: whatever is asked about must be loaded in each."""
        return self.home, self.transit

    def load(self, ruleset: str) -> None:
        """Load nftables text in both worlds, in the place of whatever table `inet ctpolicy` was there."""
        for world in self.worlds:
            world.namespace.load(f"{_NO_TABLE}{ruleset}")

    def load_json(self, document: str) -> None:
        """The same for a libnftables JSON document."""
        for world in self.worlds:
            world.namespace.load(_NO_TABLE)
            world.namespace.run("nft", "-j", "-f", "-", stdin=document)

    def untracked(self, packets: Sequence[Packet]) -> list[bool]:
        """For each packet, whether the kernel leaves it untracked, under the ruleset that both worlds have.

        Raises:
            OracleError: a packet was not seen at its hook, or cannot be sent (see `can_be_sent`).
        """
        answers: list[bool] = []
        for first in range(0, len(packets), LARGEST_NUMBER):
            answers += self._ask(packets[first : first + LARGEST_NUMBER])
        return answers

    def _ask(self, packets: Sequence[Packet]) -> list[bool]:
        for world in self.worlds:
            world.forget()
        asked: list[set[int]] = [set(), set()]
        for number, packet in enumerate(packets, start=1):
            at = 0 if _is_at_home(packet) else 1
            self.worlds[at].show(packet, number)
            asked[at].add(number)
        untracked: set[int] = set()
        for world, numbers in zip(self.worlds, asked, strict=True):
            untracked |= _answers(world, numbers, packets)
        return [number in untracked for number in range(1, len(packets) + 1)]

    def close(self) -> None:
        """Close both worlds."""
        for world in self.worlds:
            world.close()


def can_be_sent(packet: Packet) -> bool:
    """Whether the oracle can show this packet to its hook.

    The kernel drops some before any hook sees them, or gives them other addresses: from the wire, IPv6 sources that
    are `::1`, multicast or IPv4-mapped, and the destinations `::1` and multicast of scope 0 and 1 (it stays in its
    host); when sent, an unspecified source or destination, and loopback addresses by another device. Multicast and
    broadcast are always taken, so they are never on path forward, and neither is what is a device's own: `lo`'s
    addresses, and fe80::/64 with its anycast address.
    """
    if packet.interface and packet.interface not in (LOOPBACK, *DEVICES):
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


def _is_at_home(packet: Packet) -> bool:
    return packet.path is Path.IN or packet.interface == LOOPBACK


def _answers(world: World, numbers: set[int], packets: Sequence[Packet]) -> set[int]:
    if not numbers:
        return set()
    for pause in _pauses():
        untracked, tracked = world.recorded()
        if numbers <= untracked | tracked:
            break
        time.sleep(pause)
    missing = sorted(numbers - untracked - tracked)
    if missing:
        shown = "\n".join(f"  {packets[number - 1]}" for number in missing[:10])
        raise OracleError(f"{len(missing)} of {len(numbers)} packets were not seen at any hook:\n{shown}")
    if untracked & tracked & numbers:
        number = min(untracked & tracked & numbers)
        raise OracleError(f"seen twice, with two answers: {packets[number - 1]}")
    return untracked & numbers


def _pauses() -> Iterator[float]:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        yield 0.02


def home_routes() -> Iterator[str]:
    """Routes by which every address is local."""
    yield "route add local 0.0.0.0/0 dev lo table local"
    yield "route add local ::/0 dev lo table local"
    for metric, device in enumerate(DEVICES, start=1):  # a link-local destination is looked up on its own device
        yield f"route add local fe80::/10 dev {device} table local metric {metric}"


def transit_routes() -> Iterator[str]:
    """Routes by which every address is somebody else's."""
    for metric, device in enumerate(DEVICES, start=10):
        yield f"route add 0.0.0.0/0 dev {device} metric {metric}"
        yield f"route add ::/0 dev {device} metric {metric}"
