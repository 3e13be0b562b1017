"""Entries that no packet will ever belong to again, because the packets of both their directions stay untracked.

Such an entry does nothing but take a place until it times out. To delete any other is harm: the next packet of an
answered flow makes a new, unanswered entry, and that of a translated one goes where it should not. So whatever is in
doubt is left to its timeout, and counted with the reason:

1. Which path its packets take is told by addresses: those of this host, by the routing table that `fib` asks too. Both
   ends here: loopback, which is decided once, at output. (Who sends with addresses that are not this host's, as a
   transparent proxy does, has packets at output that look like somebody else's here.)
2. By which interface they come and go is not known. So they must be untracked on each; on `lo` only what is loopback.
3. Tunnels over UDP are not answered port for port: the other side sends to the same destination port, from any source
   port, and its packets are a flow of their own. So what answers an entry that no answer was seen of may be either, the
   packets that turn its ports around or those of the other side's tunnel. Otherwise no entry of VXLAN would go.
4. What belongs to NAT or a helper, goes by a flow table or is in a zone is left alone, whatever the rules say of it.

To ask that of a million entries, what rules do is made into two functions of a packet without its interface
(`packetspace.diagram`), so that each direction is one look-up.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from typing import Final, TypeVar

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.entry import Entry, address
from ctpolicy.netfilter.backend import Backend, Names
from ctpolicy.netfilter.edges import edges
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.packetspace.diagram import LEAF, Node, leaf
from ctpolicy.packetspace.fields import LOOPBACK, PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING, difference, intersection, projection
from ctpolicy.packetspace.universe import FAMILIES, FOREST, PATHS, REAL_PACKETS, Field

Own = TypeVar("Own")


class LeftAlone(Enum):
    """Why an entry is left to its timeout, though the rules bypass its addresses and ports both ways."""

    NAT = "belongs to NAT"
    HELPER = "belongs to a helper"
    OFFLOADED = "goes by a flow table"
    ZONE = "is in a conntrack zone"
    VRF = "has an address of this host's that is in a table of its own (VRF)"
    INTERFACE = "depends on the interface"
    OTHERS = "bypassed by others' rules, not by an entry"


Judgement = str | LeftAlone | None
"""The policy entry that makes an entry of the table pointless, or why it is left alone; None for one that is in use."""


class _Fate(IntEnum):
    """Whether packets stay untracked, by interface."""

    TRACKED = 0
    DEPENDS = 1
    UNTRACKED = 2


_Point = tuple[int, int, int, int, int, int, int, int]
"""A packet as the value of each field (universe.packet_values)."""

_Flow = tuple[_Point, _Point, _Point | None]
"""A packet of the original direction, one that answers it, and, of what may be a tunnel, one of the other side's."""

_LO: Final = interface_value(LOOPBACK)
_IN, _FORWARD, _OUT = (PATHS.index(path) for path in (Path.IN, Path.FORWARD, Path.OUT))
_NO_INTERFACE: Final = interface_value("")
_UDP: Final = PROTOCOL_NUMBERS["udp"]


UNNAMED: Final = "(rules of no entry)"
"""For what our rules leave untracked by rules that somebody else has put among them."""


@dataclass(frozen=True, slots=True)
class Pointless:
    """Tells which entries of the table are pointless, with these rules on a host with these addresses.

    Args:
        names: the entry of ours that leaves a packet untracked.
        addresses: the host's.
        ours: packets that our rules leave untracked.
        after: what becomes of packets.
        before: what became of them before a change, if only what the change makes pointless is asked for.
    """

    names: _Names
    addresses: HostAddresses
    ours: Node
    after: _Fates
    before: _Fates | None = None

    @classmethod
    def now(
        cls, backend: Backend[Own], own: Own | None, addresses: HostAddresses, beside: Treatment | None = None
    ) -> Pointless:
        """By the rules that are live.

        Args:
            backend: ours.
            own: what it has on the host.
            addresses: the host's.
            beside: what others' rules do; None if there are none, or they do not matter.

        Raises:
            TooLargeError: within a bound, if the rules take more.
        """
        ours = backend.treatment(own)
        together = ours if beside is None else ours & beside
        return cls(_Names(backend.deciding(own), edges(own)), addresses, ours.never_tracked.root, _Fates.of(together))

    @classmethod
    def by_change(
        cls,
        backend: Backend[Own],
        before: Own | None,
        after: Own | None,
        addresses: HostAddresses,
        beside: Treatment | None = None,
    ) -> Pointless:
        """By a change of our rules; what was pointless before is none of its. Arguments and errors as of `now`."""
        then = cls.now(backend, before, addresses, beside)
        return replace(cls.now(backend, after, addresses, beside), before=then.after)

    def judge(self, entry: Entry) -> Judgement:
        """The policy entry that makes an entry pointless, or why it is left alone; None for one that is in use."""
        judged = self._judge(entry)
        return judged if judged is None or isinstance(judged, LeftAlone) else self._name(judged)

    def __contains__(self, entry: Entry) -> bool:
        """Whether an entry is pointless. It takes a third of the time that its policy entry's name does."""
        judged = self._judge(entry)
        return judged is not None and not isinstance(judged, LeftAlone)

    def _judge(self, entry: Entry) -> _Flow | LeftAlone | None:
        """The packets of a pointless entry, or why it is left alone."""
        flow = self._flow(entry)
        if flow is None:
            return None
        fate = self.after.fate(flow)
        if fate == _Fate.TRACKED or (self.before is not None and self.before.fate(flow) == _Fate.UNTRACKED):
            return None
        exception = self._exception(entry, fate)
        if exception is None and not any(FOREST.value(self.ours, way) for way in flow[:2]):
            return LeftAlone.OTHERS
        return exception or flow

    def _name(self, flow: _Flow) -> str:
        """The entry of ours that leaves the original direction untracked, or else its answers."""
        there, back, _ = flow
        return self.names.of(there) or self.names.of(back) or UNNAMED

    def _exception(self, entry: Entry, fate: int) -> LeftAlone | None:
        if entry.is_translated:
            return LeftAlone.NAT
        if entry.belongs_to_a_helper:
            return LeftAlone.HELPER
        if entry.is_offloaded:
            return LeftAlone.OFFLOADED
        if entry.has_a_zone:
            return LeftAlone.ZONE
        elsewhere = self.addresses.elsewhere[entry.family]
        if elsewhere and (entry.original.source in elsewhere or entry.original.destination in elsewhere):
            return LeftAlone.VRF
        return LeftAlone.INTERFACE if fate == _Fate.DEPENDS else None

    def _flow(self, entry: Entry) -> _Flow | None:
        """The packets of both directions; None if they are not told."""
        source, destination, protocol, source_port, destination_port, _, _ = entry.original
        if protocol not in PROTOCOLS_WITH_PORTS:
            source_port = destination_port = 0
        elif source_port is None or destination_port is None:
            return None  # a kernel that does not know this protocol tracks it by its addresses alone
        family = entry.family
        interface = _NO_INTERFACE
        if source in self.addresses.local[family]:
            path, answer = _OUT, _IN
            if destination in self.addresses.local[family]:
                answer, interface = _OUT, _LO
        elif destination in self.addresses.taken[family]:
            path, answer = _IN, _OUT
        else:
            path = answer = _FORWARD
        number = _FAMILY_NUMBERS[family]
        there = (path, number, protocol, interface, destination_port, source, source_port, destination)
        back = (answer, number, protocol, interface, source_port, destination, destination_port, source)
        if protocol != _UDP or entry.is_answered:
            return there, back, None
        return there, back, (answer, number, protocol, interface, destination_port, destination, source_port, source)


_MOST_KNOWN: Final = 50_000
"""Names that are remembered, of some 300 bytes each."""

_FAMILY_NUMBERS: Final = {family: FAMILIES.index(family) for family in Family}


def _packet(way: _Point) -> Packet:
    path, family, protocol, interface, destination_port, source, source_port, destination = way
    has_ports = protocol in PROTOCOLS_WITH_PORTS
    return Packet(
        PATHS[path],
        protocol,
        address(FAMILIES[family], source),
        address(FAMILIES[family], destination),
        source_port if has_ports else None,
        destination_port if has_ports else None,
        LOOPBACK if interface == _LO else "",
    )


class _Names:
    """The entry of ours that leaves a packet untracked, asked once for all packets that are the same to the rules.

    To follow a packet through the rules takes 40 µs, and tables are full of flows that differ in a client's port.

    Args:
        names: who tells it of one packet.
        edges: the values at which the rules may change their mind.
    """

    def __init__(self, names: Names, edges: tuple[int, ...]) -> None:
        self._names = names
        self._edges = edges
        self._known: dict[tuple[int, ...], str] = {}

    def of(self, way: _Point) -> str:
        """The name; empty for none."""
        path, family, protocol, interface, *values = way
        same = (path, family, protocol, interface, *(bisect_right(self._edges, value) for value in values))
        found = self._known.get(same)
        if found is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[same] = next(iter(self._names(_packet(way))), "")
        return found


@dataclass(frozen=True, slots=True)
class _Fates:
    """What becomes of packets whose interface is not known.

    Args:
        elsewhere: of packets that are not on `lo`, a _Fate for any interface.
        on_loopback: of packets on `lo`, 1 for those that stay untracked.
    """

    elsewhere: Node
    on_loopback: Node

    @classmethod
    def of(cls, treatment: Treatment) -> _Fates:
        """What rules do, for any interface."""
        never = treatment.never_tracked.root
        not_lo = FOREST.box({Field.INTERFACE: IntervalSet.single(_LO).complement(INTERFACE_BITS)}, EVERYTHING, NOTHING)
        met = intersection(FOREST, REAL_PACKETS, not_lo)
        sometimes = projection(FOREST, intersection(FOREST, never, not_lo), {Field.INTERFACE})
        otherwise = projection(FOREST, difference(FOREST, met, never), {Field.INTERFACE})
        return cls(FOREST.apply(_fate, sometimes, otherwise), never)

    def fate(self, flow: _Flow) -> int:
        """That of a flow: the worse of its two directions."""
        there, back, tunnel = flow
        first = self._one(there)
        if not first:
            return first
        second = self._one(back)
        if second != _Fate.UNTRACKED and tunnel is not None:
            second = max(second, self._one(tunnel))
        return min(first, second)

    def _one(self, way: _Point) -> int:
        if way[Field.INTERFACE] == _LO:
            return _Fate.UNTRACKED if FOREST.value(self.on_loopback, way) else _Fate.TRACKED
        return FOREST.value(self.elsewhere, way)


def _fate(sometimes: Node, otherwise: Node) -> Node | None:
    if sometimes is NOTHING:
        return leaf(int(_Fate.TRACKED))
    if sometimes.level == otherwise.level == LEAF:
        return leaf(int(_Fate.DEPENDS if otherwise is EVERYTHING else _Fate.UNTRACKED))
    return None
