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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.oracle.namespace import Namespace
from ctpolicy.oracle.sendable import DEVICES, UNNAMED, can_be_sent
from ctpolicy.oracle.wire import LARGEST_NUMBER, datagram, frame
from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.packet import Packet

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
    devices: tuple[str, ...] = DEVICES
    writers: dict[str, socket.socket] = field(default_factory=dict)
    senders: dict[tuple[str, Family], socket.socket] = field(default_factory=dict)

    @classmethod
    def make(cls, namespace: Namespace, routes: Iterable[str], devices: tuple[str, ...] = DEVICES) -> World:
        """Furnish an empty namespace."""
        for sysctl in ("all/accept_dad", "default/accept_dad", "all/accept_ra", "default/accept_ra"):
            namespace.write(f"ipv6/conf/{sysctl}", 0)
        namespace.write("ipv6/auto_flowlabels", 0)  # what the kernel itself sends is to have no number
        receiver = _RECEIVER.hex(":")
        for device in devices:
            namespace.ip(
                f"link add name {device} address {receiver} type veth peer name w-{device}",
                f"link set dev {device} up",
                f"link set dev w-{device} up",
            )
            namespace.write(f"ipv6/conf/w-{device}/disable_ipv6", 1)
        namespace.ip("link set lo multicast on", *routes)
        namespace.load(_RECORDER)
        world = cls(namespace, devices)
        with namespace.entered():
            world._open()
        return world

    def _open(self) -> None:
        for device in self.devices:
            self.writers[device] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.writers[device].bind((f"w-{device}", 0))
        for device in (LOOPBACK, *self.devices):
            for family, domain in ((Family.IPV4, socket.AF_INET), (Family.IPV6, socket.AF_INET6)):
                sender = socket.socket(domain, socket.SOCK_RAW, socket.IPPROTO_RAW)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                self.senders[device, family] = sender

    def show(self, packet: Packet, number: int) -> None:
        """Let the packet meet its hook."""
        if not can_be_sent(packet, self.devices):
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
        devices: that packets may come and go by.
    """

    def __init__(self, home: Namespace, transit: Namespace, devices: tuple[str, ...] = DEVICES) -> None:
        self.home = World.make(home, _home_routes(devices), devices)
        self.transit = World.make(transit, _transit_routes(devices), devices)

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


def _home_routes(devices: Iterable[str]) -> Iterator[str]:
    yield "route add local 0.0.0.0/0 dev lo table local"
    yield "route add local ::/0 dev lo table local"
    for metric, device in enumerate(devices, start=1):  # a link-local destination is looked up on its own device
        yield f"route add local fe80::/10 dev {device} table local metric {metric}"


def _transit_routes(devices: Iterable[str]) -> Iterator[str]:
    for metric, device in enumerate(devices, start=10):
        yield f"route add 0.0.0.0/0 dev {device} metric {metric}"
        yield f"route add ::/0 dev {device} metric {metric}"
