"""Statistics of a conntrack table, in one pass over its entries, in memory that does not grow with it.

Entries come as rows of bytes, many at a time, whether they are read off a text or off the kernel: what a regular
expression finds in a line, or what a netlink message says. Making an Entry of each would take five times as long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from re import compile as pattern
from typing import Final, NamedTuple

from ctpolicy.conntrack.frequent import Frequent, Top, top
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, protocol_name

Row = tuple[bytes, ...]
"""One entry. Its columns:

FAMILY: 4 or 6; empty if its line does not say, as in the plain form.
PROTOCOL: its number.
STATE: of the protocol; empty if it has none, or none is told.
SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT: of the original direction; empty ports for what has none.
ECHO: code and id of ICMP, if its reply was held against them.
UNREPLIED, MIRRORED, ASSURED: empty if it is not so. It is mirrored if nothing is translated.
EXTRAS: words of a zone or of being offloaded, among others.
SEVENTH: what `awk '{print $7}' | cut -d= -f2` makes of its line in extended form; empty where that is the source if
there is a state, and the destination if there is none.
"""
FAMILY, PROTOCOL, STATE, SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, ECHO = range(8)
UNREPLIED, MIRRORED, ASSURED, EXTRAS, SEVENTH = range(8, 13)

MOST_DIFFERENT: Final = 400_000
"""Different addresses and ports that are counted apart, of all kinds together: 55 MB (Python 3.11)."""

NO_STATE: Final = "-"
"""The name of TCP entries of which no state is told."""

_TCP: Final = b"%d" % PROTOCOL_NUMBERS["tcp"]
_ZONE: Final = pattern(rb"\b(zone(?:-orig|-reply)?)=(\d+)")
_SHAPE: Final[Callable[[Row], Row]] = itemgetter(
    FAMILY, PROTOCOL, STATE, UNREPLIED, MIRRORED, ASSURED, DESTINATION_PORT
)
_SOURCE: Final = itemgetter(SOURCE)
_DESTINATION: Final = itemgetter(DESTINATION)
_EXTRAS: Final = itemgetter(EXTRAS)
_SEVENTH: Final = itemgetter(SEVENTH)

Name = Callable[[bytes], str]


class Kind(NamedTuple):
    """Entries of one kind, and what is so of how many of them.

    Args:
        name: of the kind.
        entries: how many.
        unreplied: no packet of the other direction was seen.
        assured: the kernel does not drop it early.
        translated: by NAT: its two directions do not mirror each other.
    """

    name: str
    entries: int = 0
    unreplied: int = 0
    assured: int = 0
    translated: int = 0

    def __add__(self, other: object) -> Kind:
        assert isinstance(other, Kind)
        return Kind(self.name, *(one + more for one, more in zip(self[1:], other[1:], strict=True)))


class Counted(NamedTuple):
    """How many entries have a name."""

    name: str
    entries: int


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """What is in a conntrack table.

    Args:
        total: all entries.
        offloaded: how many go by a flow table.
        protocols: by protocol; families: by family; tcp_states: TCP by state, `-` where none is told.
        zones: by zone, of those in another than 0; `zone-orig` and `zone-reply` if in one direction alone.
        sources, destinations, destination_ports: the most frequent in the original direction.
        seventh_fields: the most frequent of what the pipeline with `print $7` prints.
    """

    total: Kind
    offloaded: int
    protocols: tuple[Kind, ...]
    families: tuple[Counted, ...]
    tcp_states: tuple[Counted, ...]
    zones: tuple[Counted, ...]
    sources: Top
    destinations: Top
    destination_ports: Top
    seventh_fields: Top

    @property
    def seventh_fields_are_sources(self) -> bool:
        """Whether that pipeline prints what it is meant to."""
        return self.seventh_fields.ranked == self.sources.ranked


class Tally:
    """Counts entries.

    Args:
        address: an address's name.
        port: a port's name.
        most_different: how many different addresses and ports are counted apart.
    """

    def __init__(self, address: Name = bytes.decode, port: Name = bytes.decode, most: int = MOST_DIFFERENT) -> None:
        self.entries = 0
        self._address, self._port, self._most = address, port, most
        self._shapes: Counter[Row] = Counter()
        self._families: Counter[str] = Counter()
        self._extras: Counter[str] = Counter()
        # Of entries with a state, without, and of those whose seventh field is neither source nor destination.
        self._sources = (Frequent(), Frequent(), Frequent())
        self._destinations = (Frequent(), Frequent(), Frequent())
        self._ports: defaultdict[bytes, Frequent] = defaultdict(Frequent)
        self._sevenths = Frequent()

    def add(self, rows: Sequence[Row], with_extras: bool = True) -> None:
        """Count some more.

        Args:
            rows: of each entry, all its columns.
            with_extras: whether any of them may be in a zone or offloaded.
        """
        self.entries += len(rows)
        self._add_shapes(rows)
        if with_extras:
            self._add_extras(rows)
        irregular = [row for row in rows if row[SEVENTH]] if with_extras else []
        regular = [row for row in rows if not row[SEVENTH]] if irregular else rows
        with_state = [row for row in regular if row[STATE]]
        without = [row for row in regular if not row[STATE]] if with_state else regular
        for at, some in enumerate((with_state, without, irregular)):
            self._sources[at].counts.update(map(_SOURCE, some))
            self._destinations[at].counts.update(map(_DESTINATION, some))
        self._sevenths.counts.update(map(_SEVENTH, irregular))
        self._keep_bounded()

    def _add_shapes(self, rows: Sequence[Row]) -> None:
        """Count all that has few values; ports with it, because one look at a row is cheaper than two."""
        says_family = True
        for (family, protocol, state, unreplied, mirrored, assured, port), number in Counter(map(_SHAPE, rows)).items():
            self._shapes[family, protocol, state, unreplied, mirrored, assured] += number
            if port:
                self._ports[protocol].counts[port] += number
            says_family = says_family and bool(family)
        if not says_family:
            plain = [row[SOURCE] for row in rows if not row[FAMILY]]
            sixes = sum(b":" in source for source in plain)
            self._families.update(IPv6=sixes, IPv4=len(plain) - sixes)

    def _add_extras(self, rows: Sequence[Row]) -> None:
        for extras, number in Counter(map(_EXTRAS, rows)).items():
            for word, zone in _ZONE.findall(extras):
                if int(zone):
                    self._extras[f"{word.decode()}={int(zone)}"] += number
            if b"OFFLOAD]" in extras:
                self._extras["offloaded"] += number

    def merge(self, other: Tally) -> None:
        """Add what was counted elsewhere, of the same kind of rows."""
        self.entries += other.entries
        self._shapes.update(other._shapes)
        self._families.update(other._families)
        self._extras.update(other._extras)
        for protocol, ports in other._ports.items():
            self._ports[protocol].merge(ports)
        for mine, its in zip(self._frequents(), other._frequents(), strict=True):
            mine.merge(its)
        self._keep_bounded()

    def _frequents(self) -> list[Frequent]:
        return [*self._sources, *self._destinations, self._sevenths]

    def _keep_bounded(self) -> None:
        """Where there are too many different ones, halve the most numerous."""
        kept = [*self._frequents(), *self._ports.values()]
        while sum(len(one.counts) for one in kept) > self._most:
            largest = max(kept, key=lambda one: len(one.counts))
            largest.shrink(len(largest.counts) // 2)

    def told(self, number: int) -> TableStatistics:
        """What was counted, and so many of what is most frequent."""
        kinds, states, families = self._kinds()
        return TableStatistics(
            sum(kinds.values(), Kind("all")),
            self._extras["offloaded"],
            tuple(sorted(kinds.values(), key=lambda kind: (-kind.entries, kind.name))),
            _counted(families),
            _counted(states),
            _counted({zone: entries for zone, entries in self._extras.items() if zone != "offloaded"}),
            top(self._sources, number, self._address),
            top(self._destinations, number, self._address),
            self._top_ports(number),
            self._top_sevenths(number),
        )

    def _kinds(self) -> tuple[dict[str, Kind], Counter[str], Counter[str]]:
        kinds: dict[str, Kind] = {}
        states: Counter[str] = Counter()
        families = self._families.copy()
        for (family, protocol, state, unreplied, mirrored, assured), entries in self._shapes.items():
            name = protocol_name(int(protocol))
            found = Kind(name, entries, entries * bool(unreplied), entries * bool(assured), entries * (not mirrored))
            kinds[name] = kinds.get(name, Kind(name)) + found
            if protocol == _TCP:
                states[state.decode().strip() or NO_STATE] += entries
            if family:
                families[f"IPv{family.decode()}"] += entries
        return kinds, states, families

    def _top_ports(self, number: int) -> Top:
        told = []
        for protocol, ports in self._ports.items():
            told.append(top((ports,), number, self._named(protocol_name(int(protocol)))))
        most = sorted((one for part in told for one in part.ranked), key=lambda one: (one.entries, one.name))
        return Top(
            tuple(most[::-1][:number]),
            sum(part.different for part in told),
            max((part.error for part in told), default=0),
        )

    def _named(self, protocol: str) -> Name:
        return lambda port: f"{protocol}/{self._port(port)}"

    def _top_sevenths(self, number: int) -> Top:
        return top((self._sources[0], self._destinations[1], self._sevenths), number, self._address)


def _counted(counts: dict[str, int]) -> tuple[Counted, ...]:
    found = (Counted(name, entries) for name, entries in counts.items() if entries)
    return tuple(sorted(found, key=lambda one: (-one.entries, one.name)))
