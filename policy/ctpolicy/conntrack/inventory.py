"""What the entries of a table are for, one entry after the other and in bounded memory.

A *use* is what one policy entry could say of them: a service of this host, a service that this host asks, or one that
is passed on, by protocol and port. Uses are counted, the smallest forgotten where there are too many (lossy counting:
Manku and Motwani, Approximate Frequency Counts over Data Streams, 2002), so the large ones are exact or nearly so.

What must never be forgotten is where entries are that may not be bypassed: those of NAT, of helpers, of flow tables and
zones. The packets of both their directions, as they meet the hooks where tracking is decided, are kept as a bit for
each port, and a use that holds one of those ports there is not safe. Two cases are less than obvious:

- A masqueraded flow is begun on path forward, but answered on path in: the answer is for an address of this host's. A
  bypass of what this host asks at that port would leave the answer untracked, and so never translated back.
- A flow that was redirected from port 9100 to 8080 is answered from port 8080: at output the answer is not translated
  yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final, NamedTuple

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.entry import Entry, Tuple
from ctpolicy.conntrack.peers import Peers
from ctpolicy.conntrack.pointless import LeftAlone, Pointless
from ctpolicy.language.presets import PRESETS
from ctpolicy.packetspace.fields import IPV6_EXTENSION_HEADERS, PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family

MOST_USES: Final = 1024
"""Uses that are remembered when there are too many; twice as many are kept until then."""

EPHEMERAL: Final = 32768
"""The first port that clients get by themselves on Linux (net.ipv4.ip_local_port_range)."""

MANY_PORTS: Final = 8
"""Source ports of one use that are remembered, to tell whether they are many."""

MOST_ADDRESSES: Final = 256
"""Addresses that are remembered of the packets at a tunnel's port that must stay tracked."""

_UDP: Final = PROTOCOL_NUMBERS["udp"]
_UNADVISED: Final = frozenset({PROTOCOL_NUMBERS["icmp"], PROTOCOL_NUMBERS["icmpv6"]}) | IPV6_EXTENSION_HEADERS
TUNNEL_PORTS: Final = frozenset(preset.ports.intervals[0][0] for preset in PRESETS.values() if preset.protocol == _UDP)


class Role(IntEnum):
    """What this host is to the flows of a use."""

    SERVICE = 0
    """They are to a port of this host's."""
    CLIENT = 1
    """This host has begun them."""
    FORWARD = 2
    """They are passed on."""


class Use(NamedTuple):
    """What entries are for.

    Args:
        role: of this host.
        protocol: IP protocol number.
        port: of the service; 0 for a protocol without ports.
    """

    role: Role
    protocol: int
    port: int


class Exclusion(Enum):
    """Why an entry's packets may not be bypassed, as words after a number of entries."""

    NAT = "of NAT"
    HELPER = "of a helper"
    OFFLOADED = "in a flow table"
    ZONE = "in a conntrack zone"
    VRF = "with an address of a routing table of its own (VRF)"


class Side(IntEnum):
    """Where a packet meets the decision, and which of its ports is meant."""

    IN_TO = 0
    IN_FROM = 1
    OUT_TO = 2
    OUT_FROM = 3
    LOOPBACK = 4
    FORWARD = 5


class Tally:
    """What is known of one use."""

    __slots__ = ("answered", "entries", "excluded", "peers", "servers", "source_ports")

    def __init__(self) -> None:
        self.entries = 0
        self.answered = 0
        self.excluded: Counter[Exclusion] = Counter()
        self.source_ports: set[int] = set()
        self.peers: dict[Family, Peers] = {}
        self.servers: dict[Family, Peers] = {}

    @property
    def unanswered(self) -> int:
        """Entries of which one direction alone was seen."""
        return self.entries - self.answered

    @property
    def has_many_ports(self) -> bool:
        """Whether the flows come from many ports."""
        return len(self.source_ports) >= MANY_PORTS

    def together(self, other: Tally) -> Tally:
        """Both as one use."""
        found = Tally()
        found.entries, found.answered = self.entries + other.entries, self.answered + other.answered
        found.excluded = self.excluded + other.excluded
        found.source_ports = self.source_ports | other.source_ports
        for family in self.peers.keys() | other.peers.keys():
            one, another = self.peers.get(family, Peers(family)), other.peers.get(family, Peers(family))
            found.peers[family] = one.together(another)
        return found


@dataclass(slots=True)
class Excluded:
    """Ports of packets that must stay tracked: a bit for each, by where they are met and why.

    Args:
        bits: by side, protocol and reason.
        at_tunnels: the other side's addresses, where the port is one of a tunnel's; None for too many.
    """

    bits: dict[tuple[Side, int, Exclusion], bytearray] = field(default_factory=dict)
    at_tunnels: dict[tuple[Side, int], set[tuple[Family, int]] | None] = field(default_factory=dict)

    def add(self, side: Side, protocol: int, port: int, why: Exclusion, peer: tuple[Family, int]) -> None:
        """A packet."""
        bits = self.bits.get((side, protocol, why))
        if bits is None:
            bits = self.bits[side, protocol, why] = bytearray(1 << 13)
        bits[port >> 3] |= 1 << (port & 7)
        if protocol == _UDP and port in TUNNEL_PORTS:
            known = self.at_tunnels.setdefault((side, port), set())
            if known is not None:
                known.add(peer)
                if len(known) > MOST_ADDRESSES:
                    self.at_tunnels[side, port] = None

    def reasons(self, sides: Iterable[Side], protocol: int, port: int) -> list[Exclusion]:
        """Why packets with this port may not be bypassed."""
        asked = frozenset(sides)
        return [
            why
            for why in Exclusion
            if any(
                self.bits[key][port >> 3] >> (port & 7) & 1
                for key in self.bits
                if key[0] in asked and key[1:] == (protocol, why)
            )
        ]


@dataclass(slots=True)
class Inventory:
    """What a table holds.

    Args:
        total: entries.
        uses: by use.
        excluded: packets that must stay tracked.
        standing: entries that rules bypass already, by the policy entry, or by whose rules.
        unadvised: entries that no use was found for, such as those of ICMP.
        forgotten: entries of uses that were forgotten, because they were small and too many.
    """

    total: int = 0
    uses: dict[Use, Tally] = field(default_factory=dict)
    excluded: Excluded = field(default_factory=Excluded)
    standing: Counter[str] = field(default_factory=Counter)
    unadvised: int = 0
    forgotten: int = 0


BY_OTHERS: Final = "(others' rules)"
"""The name in `standing` for what is bypassed by rules that are not ours."""


def take_inventory(
    entries: Iterable[Entry], addresses: HostAddresses, standing: Iterable[Pointless] = (), *, is_guess: bool = False
) -> Inventory:
    """Go over a table once.

    Args:
        entries: of the table.
        addresses: this host's.
        standing: what bypasses entries already.
        is_guess: whether the addresses are a guess; then packets that must stay tracked may be on any path.
    """
    found = Inventory()
    counting = _Counting(found, addresses, tuple(standing), is_guess)
    for entry in entries:
        counting.see(entry)
    return found


@dataclass(frozen=True, slots=True)
class _Counting:
    found: Inventory
    addresses: HostAddresses
    standing: tuple[Pointless, ...]
    is_guess: bool

    def see(self, entry: Entry) -> None:
        found = self.found
        found.total += 1
        for pointless in self.standing:
            judged = pointless.judge(entry)
            if isinstance(judged, str) or judged is LeftAlone.OTHERS:
                found.standing[judged if isinstance(judged, str) else BY_OTHERS] += 1
                return
        why = self._exclusion(entry)
        if why is not None:
            self._exclude(entry.family, entry.original, why)
            self._exclude(entry.family, entry.reply, why)
        self._count(entry, why)

    def _exclusion(self, entry: Entry) -> Exclusion | None:
        if entry.is_translated:
            return Exclusion.NAT
        if entry.belongs_to_a_helper:
            return Exclusion.HELPER
        if entry.is_offloaded:
            return Exclusion.OFFLOADED
        if entry.has_a_zone:
            return Exclusion.ZONE
        elsewhere = self.addresses.elsewhere[entry.family]
        if elsewhere and (entry.original.source in elsewhere or entry.original.destination in elsewhere):
            return Exclusion.VRF
        return None

    def _exclude(self, family: Family, way: Tuple, why: Exclusion) -> None:
        """The packets of one direction, as they meet the hook where tracking is decided."""
        to, from_ = way.destination_port or 0, way.source_port or 0
        if way.protocol not in PROTOCOLS_WITH_PORTS:
            to = from_ = 0
        add = self.found.excluded.add
        for to_side, from_side in _SIDES if self.is_guess else (self._sides(family, way),):
            peer = family, way.source if to_side is Side.IN_TO else way.destination
            add(to_side, way.protocol, to, why, peer)
            add(from_side, way.protocol, from_, why, peer)

    def _sides(self, family: Family, way: Tuple) -> tuple[Side, Side]:
        """Where the packets are met: the side of their destination's port, and that of their source's."""
        if way.source in self.addresses.local[family]:
            return _LO if way.destination in self.addresses.local[family] else _OUT
        return _IN if way.destination in self.addresses.taken[family] else _FORWARDED

    def _count(self, entry: Entry, why: Exclusion | None) -> None:
        way, family = entry.original, entry.family
        source, destination, protocol, source_port, port, _, _ = way
        if protocol in _UNADVISED or (protocol in PROTOCOLS_WITH_PORTS and (source_port is None or port is None)):
            self.found.unadvised += 1
            return
        if protocol not in PROTOCOLS_WITH_PORTS:
            source_port = port = 0
        assert source_port is not None and port is not None
        if _is_begun_by_the_service(protocol, source_port, port):
            source, destination, source_port, port = destination, source, port, source_port
        role, peer = self._role(family, source, destination)
        tally = self._tally(Use(role, protocol, port))
        tally.entries += 1
        if entry.is_answered:
            tally.answered += 1
        if why is not None:
            tally.excluded[why] += 1
        if len(tally.source_ports) < MANY_PORTS:
            tally.source_ports.add(source_port)
        _peers(tally.peers, family).add(peer)
        if role is Role.FORWARD:
            _peers(tally.servers, family).add(destination)

    def _role(self, family: Family, client: int, server: int) -> tuple[Role, int]:
        """What this host is to a flow, and the other side of it."""
        if server in self.addresses.taken[family]:
            return Role.SERVICE, client
        if client in self.addresses.taken[family]:
            return Role.CLIENT, server
        return Role.FORWARD, client

    def _tally(self, use: Use) -> Tally:
        uses = self.found.uses
        tally = uses.get(use)
        if tally is None:
            if len(uses) >= 2 * MOST_USES:
                self._forget()
            tally = uses[use] = Tally()
        return tally

    def _forget(self) -> None:
        """The smaller half of the uses; what must stay tracked is kept elsewhere."""
        uses = self.found.uses
        for use in sorted(uses, key=lambda use: uses[use].entries)[: len(uses) - MOST_USES]:
            self.found.forgotten += uses.pop(use).entries


_IN: Final = (Side.IN_TO, Side.IN_FROM)
_OUT: Final = (Side.OUT_TO, Side.OUT_FROM)
_LO: Final = (Side.LOOPBACK, Side.LOOPBACK)
_FORWARDED: Final = (Side.FORWARD, Side.FORWARD)
_SIDES: Final = (_IN, _OUT, _LO, _FORWARDED)


def _is_begun_by_the_service(protocol: int, source_port: int, port: int) -> bool:
    """Whether an entry is of the answers: so it is where one direction of a flow was untracked, or before conntrack."""
    if port < EPHEMERAL or source_port >= EPHEMERAL:
        return False
    return protocol != _UDP or source_port not in TUNNEL_PORTS  # tunnels are not answered from their port


def _peers(by_family: dict[Family, Peers], family: Family) -> Peers:
    found = by_family.get(family)
    if found is None:
        found = by_family[family] = Peers(family)
    return found
