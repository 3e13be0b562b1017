"""The places of the little world in which each host of the catalogue is tried, and their addresses.

                        198.51.100.0/24           192.0.2.0/24             10.2.0.0/24, unless the host says otherwise
    client, stranger ─────────────── router ─────────────── host, inside ─────────────── server, neighbour
           └ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘ overlay-client, overlay-host: a VXLAN, if wanted

The router forwards and nothing else. The last stretch to the client takes 1400 bytes at most, so a sender of large
packets needs the router's ICMP errors. `stranger` is another address of the client, `inside` the host's other one, and
`neighbour` is there only where the inside is a bridge.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

PATH_MTU: Final = 1400
"""Bytes that the stretch between router and client takes; everywhere else it is 1500."""

OUTSIDE: Final = {
    "client": ("198.51.100.2", "2001:db8:1::2"),
    "stranger": ("198.51.100.3", "2001:db8:1::3"),
    "router": ("192.0.2.1", "2001:db8:2::1"),
    "host": ("192.0.2.10", "2001:db8:2::10"),
    "overlay-client": ("10.200.0.2", "fd00:200::2"),
    "overlay-host": ("10.200.0.1", "fd00:200::1"),
}

STANDS_IN: Final = {"stranger": "client", "inside": "host", "overlay-client": "client", "overlay-host": "host"}
"""Whose other addresses these are."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The net behind the host.

    Args:
        device: the host's device there.
        v4: its IPv4 network; the host has the first address in it, server and neighbour the next two.
        v6: likewise.
        bridge: whether the device is a bridge with a port a neighbour, as for containers.
    """

    device: str = "eth1"
    v4: str = "10.2.0.0/24"
    v6: str = "fd00:2::/64"
    bridge: bool = False

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """Address by name, of either family."""
        names = ("inside", "server", "neighbour")
        v4, v6 = ip_network(self.v4), ip_network(self.v6)
        return {name: (str(v4[number]), str(v6[number])) for number, name in enumerate(names, 1)}

    @property
    def lengths(self) -> tuple[int, int]:
        """The prefix lengths of the two networks."""
        return ip_network(self.v4).prefixlen, ip_network(self.v6).prefixlen


@dataclass(frozen=True, slots=True)
class Places:
    """Which name has which addresses."""

    inside: Inside

    def address(self, name: str, version: int) -> str:
        """The address of a name; an address is its own name."""
        both = (OUTSIDE | self.inside.addresses).get(name)
        return name if both is None else both[version == 6]

    def name(self, address: str) -> str:
        """The name of an address as a socket tells it, or the address itself if it has none."""
        plain = ip_address(address.split("%")[0])
        plain = getattr(plain, "ipv4_mapped", None) or plain
        named = ((name, both) for name, both in (OUTSIDE | self.inside.addresses).items())
        return next((name for name, both in named if str(plain) in both), str(plain))
