"""The kernel asked what becomes of packets: which of them pass every hook of their way under the rules that are loaded?

As the oracle, with the same two worlds, but the packets go on: routed, forwarded or taken. Chains at the end of input
and of postrouting, behind all others, note the number of each packet that comes so far, and drop it there, so that no
entry is confirmed and each packet is the first of its flow; but for what goes through `lo`, whose entries are confirmed
at postrouting. A chain before all others notes that a packet has come at all.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ctpolicy.oracle.sendable import DEVICES
from ctpolicy.oracle.worlds import Oracle, OracleError, World
from ctpolicy.packetspace.fields import LOOPBACK, Path, protocol_name
from ctpolicy.packetspace.packet import Packet
from kernel.namespace import make_namespace

_PATIENCE: Final = 5.0

_RECORDER: Final = """
delete table inet oracle
table inet recorder {
  set seen_v4 { typeof ip id; flags dynamic; size 65536; }
  set seen_v6 { typeof ip6 flowlabel; flags dynamic; size 65536; }
  set passed_v4 { typeof ip id; flags dynamic; size 65536; }
  set passed_v6 { typeof ip6 flowlabel; flags dynamic; size 65536; }
  chain see {
    meta nfproto ipv4 add @seen_v4 { ip id }
    meta nfproto ipv6 add @seen_v6 { ip6 flowlabel }
  }
  chain pass {
    meta nfproto ipv4 add @passed_v4 { ip id } drop
    meta nfproto ipv6 add @passed_v6 { ip6 flowlabel } drop
  }
  chain prerouting { type filter hook prerouting priority -450; jump see; }
  chain output { type filter hook output priority -450; jump see; }
  chain input { type filter hook input priority 10000; jump pass; }
  chain postrouting { type filter hook postrouting priority 10000; oifname != "lo" jump pass; }
}
"""
_FORGET: Final = "".join(
    f"flush set inet recorder {name}_{version}\n" for name in ("seen", "passed") for version in ("v4", "v6")
)
_UNTRACK: Final = """
table inet untracking {
  chain prerouting { type filter hook prerouting priority -250; notrack; }
  chain output { type filter hook output priority -250; notrack; }
}
"""
_ROUTING: Final = {"rp_filter": 0, "accept_local": 1, "send_redirects": 0, "forwarding": 1}


class Passage:
    """Two worlds, and the question to them."""

    def __init__(self) -> None:
        self.worlds = Oracle(make_namespace(), make_namespace()).worlds
        for world in self.worlds:
            world.namespace.load(_RECORDER)
            world.namespace.write("netfilter/nf_conntrack_checksum", 0)
            for device in ("all", LOOPBACK, *DEVICES):
                for name, value in _ROUTING.items():
                    world.namespace.write(f"ipv4/conf/{device}/{name}", value)
            world.namespace.write("ipv6/conf/all/forwarding", 1)

    def load(self, ruleset: str, *, untracked: bool) -> None:
        """Load nftables text in both worlds, in the place of what was there; every packet untracked, or none."""
        for world in self.worlds:
            for table in ("walked", "untracking"):
                with suppress(AssertionError):
                    world.namespace.load(f"delete table inet {table}\n")
            world.namespace.load(ruleset + (_UNTRACK if untracked else ""))

    def listing(self) -> str:
        """The rules that are loaded, as JSON."""
        return self.worlds[0].namespace.run("nft", "-j", "list", "table", "inet", "walked").stdout

    def passed(self, packets: Sequence[Packet], flows: Sequence[Packet] = ()) -> list[bool]:
        """For each packet, whether it passes every hook. No two may be of one flow.

        Args:
            packets: that are shown.
            flows: for each, the first packet of its flow, which has been answered; or none at all.
        """
        found: dict[int, bool] = {}
        for world, is_home in zip(self.worlds, (True, False), strict=True):
            world.namespace.load(_FORGET)
            world.namespace.run("conntrack", "-F")
            numbers = {
                number: packet
                for number, packet in enumerate(packets, start=1)
                if (packet.path is Path.IN or packet.interface == LOOPBACK) is is_home
            }
            _insert(world, [flows[number - 1] for number in numbers] if flows else [])
            for number, packet in numbers.items():
                world.show(packet, number)
            found |= _answers(world, set(numbers))
        return [found[number] for number in range(1, len(packets) + 1)]

    def close(self) -> None:
        """Close both worlds."""
        for world in self.worlds:
            world.close()


def _insert(world: World, flows: Sequence[Packet]) -> None:
    """Entries of flows that have been answered."""
    lines = [
        f"-I -p {protocol_name(one.protocol)} -s {one.source} -d {one.destination} --sport {one.source_port}"
        f" --dport {one.destination_port} -t 100 -u SEEN_REPLY,ASSURED"
        for one in flows
    ]
    if lines:
        world.namespace.run("conntrack", "-R", "-", stdin="\n".join(lines) + "\n")


def _answers(world: World, numbers: set[int]) -> dict[int, bool]:
    deadline = time.monotonic() + _PATIENCE
    while not numbers <= _recorded(world, "seen"):
        if time.monotonic() > deadline:
            raise OracleError(f"{len(numbers - _recorded(world, 'seen'))} packets were not seen at any hook")
        time.sleep(0.01)
    time.sleep(0.02)  # the last of them is on its way
    passed = _recorded(world, "passed")
    return {number: number in passed for number in numbers}


def _recorded(world: World, name: str) -> set[int]:
    listing = json.loads(world.namespace.run("nft", "-j", "list", "table", "inet", "recorder").stdout)
    sets = {item["set"]["name"]: item["set"].get("elem", []) for item in listing["nftables"] if "set" in item}
    return {*sets[f"{name}_v4"], *sets[f"{name}_v6"]}
