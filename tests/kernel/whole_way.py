"""The kernel asked about packets that go all the way through a host: which of them are let through?

The worlds are those of oracle.py, with forwarding, and with another recorder: behind all tables, at input and at
postrouting, it notes the number of each packet of tcp and udp, and drops it. So no entry is ever confirmed, and every
packet is the first of its flow; or, with a notrack before everything, untracked. Packets that do not come through an
empty host, martians and their like, are no question.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Final

from ctpolicy.hazards.situations import Situation
from ctpolicy.oracle.sendable import DEVICES
from ctpolicy.oracle.worlds import Oracle, World
from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.packet import Packet
from kernel.namespace import make_namespace

_HOOKS: Final = ("input", "postrouting")
_RECORDER: Final = """
delete table inet oracle
table inet way {{
  set seen_v4 {{ typeof ip id; flags dynamic; size 65536; }}
  set seen_v6 {{ typeof ip6 flowlabel; flags dynamic; size 65536; }}
  chain record {{
    meta l4proto {{ tcp, udp }} ct state {{ new, untracked }} meta nfproto ipv4 add @seen_v4 {{ ip id }}
    meta l4proto {{ tcp, udp }} ct state {{ new, untracked }} meta nfproto ipv6 add @seen_v6 {{ ip6 flowlabel }}
    drop
  }}
  chain last {{ type filter hook {hook} priority 300; jump record; }}
}}
"""
_FORGET: Final = "flush set inet way seen_v4\nflush set inet way seen_v6\n"
_UNTRACKED: Final = """
table inet first {
  chain prerouting { type filter hook prerouting priority -310; notrack; }
  chain output { type filter hook output priority -310; notrack; }
}
"""
_SETTINGS: Final = ("ipv4/conf/all/accept_local", "ipv4/conf/all/route_localnet", "ipv6/conf/all/forwarding")
_QUIET: Final = 0.2
"""Seconds without another packet after which none is under way any more."""


class WholeWay:
    """Two worlds, one for packets to this host and one for those that are forwarded and sent."""

    def __init__(self) -> None:
        self._oracle = Oracle(make_namespace(), make_namespace())
        for world, hook in zip(self.worlds, _HOOKS, strict=True):
            world.namespace.load(_RECORDER.format(hook=hook))
            world.namespace.write("ipv4/ip_forward", 1)
            world.namespace.write("netfilter/nf_conntrack_checksum", 0)  # the packets have none
            for sysctl in (*_SETTINGS, *(f"ipv4/conf/{device}/accept_local" for device in DEVICES)):
                world.namespace.write(sysctl, 1)
            for device in ("all", "default", LOOPBACK, *DEVICES):
                world.namespace.write(f"ipv4/conf/{device}/rp_filter", 0)

    @property
    def worlds(self) -> tuple[World, World]:
        """Both of them: whatever is asked about must be loaded in each."""
        return self._oracle.worlds

    def let_through(self, packets: Sequence[Packet], situation: Situation = Situation.NEW) -> list[bool]:
        """For each packet, whether it comes through, as the first of a flow or as one that is not tracked."""
        for world in self.worlds:
            world.namespace.load(_FORGET)
            world.namespace.load(_UNTRACKED if situation is Situation.UNTRACKED else "")
        for number, packet in enumerate(packets, start=1):
            is_at_home = packet.path is Path.IN or packet.interface == LOOPBACK
            self.worlds[0 if is_at_home else 1].show(packet, number)
        seen = {number for world in self.worlds for number in _settled(world)}
        if situation is Situation.UNTRACKED:
            for world in self.worlds:
                world.namespace.load("delete table inet first")
        return [number in seen for number in range(1, len(packets) + 1)]

    def close(self) -> None:
        """Close both worlds."""
        self._oracle.close()


def _seen(world: World) -> set[int]:
    listing = json.loads(world.namespace.run("nft", "-j", "list", "table", "inet", "way").stdout)
    return {number for item in listing["nftables"] if "set" in item for number in item["set"].get("elem", [])}


def _settled(world: World) -> set[int]:
    before: set[int] | None = None
    found = _seen(world)
    while found != before:
        time.sleep(_QUIET)
        before, found = found, _seen(world)
    return found
