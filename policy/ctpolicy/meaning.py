"""What a policy means: the packets that stay untracked. Everything else is held against this.

    untracked(packet)  ⇔  packet ∈ any legs(bypass entries)  and  packet ∉ any legs(track entries)

No order, no priority, no first match. Each kind of entry covers whole flows: what it says of one direction
it says of the answers too (`_whole`). Loopback packets are decided once, at output, so on `lo` both
directions of a flow are packets on path out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.language.policy import (
    ANY_ADDRESS,
    ANY_INTERFACE,
    ANY_PORT,
    Addresses,
    Entry,
    Forward,
    HostClient,
    HostService,
    Match,
    Overlay,
    Policy,
    Ports,
)
from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet


@dataclass(frozen=True, slots=True)
class Leg:
    """One box of packets on one path: the product of its fields.

    Args:
        path: of the packets.
        family: of the packets.
        protocol: IP protocol number, or None for every protocol; ports are only given with a protocol that has them.
        source: addresses, as integers; likewise `destination`.
        source_ports: every port for a protocol without any; likewise `destination_ports`.
        interfaces: the incoming one for in and forward, the outgoing one for out.
    """

    path: Path
    family: Family
    protocol: int | None
    source: IntervalSet
    destination: IntervalSet
    source_ports: IntervalSet = ANY_PORT
    destination_ports: IntervalSet = ANY_PORT
    interfaces: Interfaces = ANY_INTERFACE

    def __contains__(self, packet: Packet) -> bool:
        return (  # what is asked soonest and tells most legs apart comes first
            packet.path is self.path
            and self.protocol in (None, packet.protocol)
            and _has_port(self.destination_ports, packet.destination_port)
            and _has_port(self.source_ports, packet.source_port)
            and packet.family is self.family
            and int(packet.source) in self.source
            and int(packet.destination) in self.destination
            and packet.interface in self.interfaces
        )

    def is_empty(self) -> bool:
        """Whether no packet can be in it. In and forward never happen on `lo`."""
        on_loopback_only = self.path is not Path.OUT and self.interfaces.patterns in {(), (LOOPBACK,)}
        return not self.source or not self.destination or on_loopback_only


def _has_port(ports: IntervalSet, port: int | None) -> bool:
    return ports is ANY_PORT or (port is not None and port in ports) or ports == ANY_PORT


def legs(entry: Entry) -> tuple[Leg, ...]:
    """The boxes whose union is what the entry covers; empty if it covers no packet."""
    return tuple(leg for leg in _legs(entry) if not leg.is_empty())


def _legs(entry: Entry) -> Iterator[Leg]:
    for family in sorted(entry.families, key=lambda family: family.value):
        match entry:
            case Overlay():
                yield from _overlay(entry, family)
            case HostService():
                for leg in _to_service(entry, family, Path.IN, entry.peers, entry.local):
                    yield from _whole(leg)
            case HostClient():
                for leg in _to_service(entry, family, Path.OUT, entry.local, entry.peers):
                    yield from _whole(leg)
            case Forward():
                for leg in _to_service(entry, family, Path.FORWARD, entry.clients, entry.servers):
                    yield from _whole(leg)
            case Ports():
                yield from _ports(entry, family)
            case Match():
                yield from _match(entry, family)


def _to_service(
    entry: HostService | HostClient | Forward, family: Family, path: Path, clients: Addresses, servers: Addresses
) -> Iterator[Leg]:
    interfaces = ANY_INTERFACE if isinstance(entry, Forward) else entry.interfaces
    for service in entry.services:
        yield Leg(
            path,
            family,
            service.protocol,
            clients.of(family),
            servers.of(family),
            destination_ports=service.ports,
            interfaces=interfaces,
        )


def _overlay(entry: Overlay, family: Family) -> Iterator[Leg]:
    """Tunnels are not answered port for port (the source port is entropy), so one leg a direction is whole."""
    peers, anyone = entry.peers.of(family), ANY_ADDRESS.of(family)
    from_peers = Leg(
        Path.IN,
        family,
        entry.tunnel.protocol,
        peers,
        anyone,
        destination_ports=entry.tunnel.ports,
        interfaces=entry.interfaces,
    )
    to_peers = replace(from_peers, source=anyone, destination=peers)
    if Path.IN in entry.paths:
        yield from_peers
    if Path.FORWARD in entry.paths:
        yield replace(from_peers, path=Path.FORWARD)
        yield replace(to_peers, path=Path.FORWARD)
    if Path.OUT in entry.paths:
        yield replace(to_peers, path=Path.OUT)


def _ports(entry: Ports, family: Family) -> Iterator[Leg]:
    anyone = ANY_ADDRESS.of(family)
    for path in _in_order(entry.paths):
        for service in entry.services:
            to = Leg(
                path,
                family,
                service.protocol,
                anyone,
                anyone,
                destination_ports=service.ports,
                interfaces=entry.interfaces,
            )
            yield to
            if service.ports != ANY_PORT:
                yield _swapped(to, path)


def _match(entry: Match, family: Family) -> Iterator[Leg]:
    for path in _in_order(entry.paths):
        for box in entry.boxes:
            leg = Leg(
                path,
                family,
                box.protocol,
                entry.source.of(family),
                entry.destination.of(family),
                box.source_ports,
                box.destination_ports,
                entry.interfaces,
            )
            yield from _whole(leg) if entry.both_ways else (leg,)


def _in_order(paths: Iterable[Path]) -> list[Path]:
    return [path for path in Path if path in paths]


_ANSWERED_ON: Final = {Path.IN: Path.OUT, Path.OUT: Path.IN, Path.FORWARD: Path.FORWARD}


def _whole(leg: Leg) -> Iterator[Leg]:
    """The leg and the packets that answer it; on `lo`, where what comes in also goes out, both at output."""
    there, back = leg, _swapped(leg, _ANSWERED_ON[leg.path])
    yield there
    yield back
    for box in (there, back):
        if box.path is Path.IN and LOOPBACK in box.interfaces:
            yield replace(box, path=Path.OUT, interfaces=Interfaces((LOOPBACK,)))


def _swapped(leg: Leg, path: Path) -> Leg:
    """The leg with its ends exchanged, on a path."""
    return Leg(
        path,
        leg.family,
        leg.protocol,
        source=leg.destination,
        destination=leg.source,
        source_ports=leg.destination_ports,
        destination_ports=leg.source_ports,
        interfaces=leg.interfaces,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether one packet stays untracked, and the names of the entries that say so, sorted.

    Args:
        bypassed_by: bypass entries that hold the packet.
        tracked_by: track entries that hold it; any at all outweighs every bypass.
    """

    bypassed_by: tuple[str, ...]
    tracked_by: tuple[str, ...]

    @property
    def untracked(self) -> bool:
        """Whether the packet bypasses connection tracking."""
        return bool(self.bypassed_by) and not self.tracked_by


@dataclass(frozen=True, slots=True)
class Meaning:
    """A policy's legs by entry name, for deciding about many packets."""

    bypass: tuple[tuple[str, tuple[Leg, ...]], ...]
    track: tuple[tuple[str, tuple[Leg, ...]], ...]

    @classmethod
    def of(cls, policy: Policy) -> Meaning:
        """What a policy means."""
        return cls(
            tuple((entry.name, legs(entry)) for entry in policy.bypass),
            tuple((entry.name, legs(entry)) for entry in policy.track),
        )

    def decide(self, packet: Packet) -> Decision:
        """Whether the packet stays untracked, and which entries say so."""
        return Decision(_holding(self.bypass, packet), _holding(self.track, packet))


def _holding(entries: tuple[tuple[str, tuple[Leg, ...]], ...], packet: Packet) -> tuple[str, ...]:
    return tuple(sorted(name for name, boxes in entries if any(packet in leg for leg in boxes)))


def decide(policy: Policy, packet: Packet) -> Decision:
    """Whether a policy leaves one packet untracked; for many packets, keep `Meaning.of(policy)`."""
    return Meaning.of(policy).decide(packet)
