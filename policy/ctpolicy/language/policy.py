"""What a policy says, once read: frozen, with every name resolved and every value an integer interval.

Entries are kept sorted by name, because a policy is a set of them: order means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.packetspace.fields import PORT_BITS, Family, Path
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet

ANY_PORT: Final = IntervalSet.full(PORT_BITS)
ANY_INTERFACE: Final = Interfaces()
BOTH_FAMILIES: Final = frozenset(Family)
EVERY_PATH: Final = frozenset(Path)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of both families. `group` is the group that they are, for whoever must name them."""

    ipv4: IntervalSet
    ipv6: IntervalSet
    group: str | None = field(default=None, compare=False)

    def of(self, family: Family) -> IntervalSet:
        """The addresses of one family, as integers."""
        return self.ipv4 if family is Family.IPV4 else self.ipv6


ANY_ADDRESS: Final = Addresses(IntervalSet.full(Family.IPV4.bits), IntervalSet.full(Family.IPV6.bits))


@dataclass(frozen=True, slots=True)
class ProtocolPorts:
    """One IP protocol, and ports of it; every port for a protocol without any."""

    protocol: int
    ports: IntervalSet = ANY_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What every entry has.

    Args:
        name: unique in the policy.
        description: free text; it never leaves the policy.
        acknowledge: why protected traffic, or everything, may be bypassed; None if nobody said so.
        families: the families that it is about, as far as its addresses have them.
    """

    name: str
    description: str = ""
    acknowledge: str | None = None
    families: frozenset[Family] = BOTH_FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay(_Common):
    """Tunnel traffic between hosts: one destination port both ways, or a protocol without ports."""

    tunnel: ProtocolPorts
    peers: Addresses = ANY_ADDRESS
    paths: frozenset[Path] = frozenset({Path.IN, Path.OUT})
    interfaces: Interfaces = ANY_INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class HostService(_Common):
    """A service on this host, and its clients, local ones among them."""

    services: tuple[ProtocolPorts, ...]
    peers: Addresses = ANY_ADDRESS
    local: Addresses = ANY_ADDRESS
    interfaces: Interfaces = ANY_INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class HostClient(_Common):
    """Clients on this host, and the service that they use, a local one among them."""

    services: tuple[ProtocolPorts, ...]
    peers: Addresses = ANY_ADDRESS
    local: Addresses = ANY_ADDRESS
    interfaces: Interfaces = ANY_INTERFACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward(_Common):
    """A service whose clients reach it through this host."""

    services: tuple[ProtocolPorts, ...]
    clients: Addresses = ANY_ADDRESS
    servers: Addresses = ANY_ADDRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(_Common):
    """A port in every role: as source or destination, on each path."""

    services: tuple[ProtocolPorts, ...]
    paths: frozenset[Path] = EVERY_PATH
    interfaces: Interfaces = ANY_INTERFACE


@dataclass(frozen=True, slots=True)
class ProtocolBox:
    """One protocol's ports in a match; `protocol` is None for every protocol, and then both ports are any."""

    protocol: int | None = None
    source_ports: IntervalSet = ANY_PORT
    destination_ports: IntervalSet = ANY_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(_Common):
    """Exactly the packets that are spelled out, and with `both_ways` the packets that answer them."""

    boxes: tuple[ProtocolBox, ...] = (ProtocolBox(),)
    source: Addresses = ANY_ADDRESS
    destination: Addresses = ANY_ADDRESS
    paths: frozenset[Path] = EVERY_PATH
    interfaces: Interfaces = ANY_INTERFACE
    both_ways: bool = False


Entry = Overlay | HostService | HostClient | Forward | Ports | Match


def addresses_of(entry: Entry) -> Iterator[tuple[str, Addresses]]:
    """The keys of an entry that hold addresses, and what they hold."""
    match entry:
        case Overlay():
            yield "peers", entry.peers
        case HostService() | HostClient():
            yield "peers", entry.peers
            yield "local", entry.local
        case Forward():
            yield "clients", entry.clients
            yield "servers", entry.servers
        case Match():
            yield "source", entry.source
            yield "destination", entry.destination


@dataclass(frozen=True, slots=True)
class Expectation:
    """A unit test that travels with the policy: this packet is untracked, or is not.

    Args:
        packet: the one that is asked about.
        untracked: what is expected of it.
        by: the entry that is expected to decide so: a bypass entry that holds the packet if it is to be untracked, a
            track entry that holds it if it is to be tracked. None if it may be any.
    """

    packet: Packet
    untracked: bool
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Named entries that bypass connection tracking, and named entries that never do.

    Args:
        name: of the policy; of several merged ones, their names joined by ` + `.
        bypass: sorted by name.
        track: sorted by name; no name is in both.
        protect: protocol and ports that only an acknowledged entry may bypass.
        expect: expectations, in the order of the files.
    """

    name: str
    bypass: tuple[Entry, ...] = ()
    track: tuple[Entry, ...] = ()
    protect: tuple[ProtocolPorts, ...] = ()
    expect: tuple[Expectation, ...] = ()
    description: str = ""

    def entries(self) -> Iterator[Entry]:
        """Every entry: bypass, then track, each by name."""
        yield from self.bypass
        yield from self.track
