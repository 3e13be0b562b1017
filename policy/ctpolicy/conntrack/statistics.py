"""Statistics of a conntrack table, in one pass over its entries, in memory that does not grow with it.

Entries come as rows of bytes, many at a time, whether they are read off a text or off the kernel: what a regular
expression finds in a line, or what a netlink message says. Making an Entry of each would take five times as long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from re import compile as pattern
from typing import Final, NamedTuple

from ctpolicy.conntrack.frequent import Frequent, Top, top
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS

Row = tuple[bytes, ...]
"""One entry. Its columns:

HEAD: what stands before its timeout: `ipv4     2 tcp      6`, or `tcp      6`.
STATE: of the protocol; empty if it has none, or none is told.
SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT: of the original direction; empty ports for what has none.
UNREPLIED, MIRRORED, ASSURED: empty if it is not so. It is mirrored if nothing is translated.
EXTRAS: words of a zone or of being offloaded, among others.
SEVENTH: what `awk '{print $7}' | cut -d= -f2` makes of its line in extended form; empty where that is the source if
there is a state, and the destination if there is none.
"""
HEAD, STATE, SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, UNREPLIED, MIRRORED, ASSURED, EXTRAS, SEVENTH = range(
    11
)

MOST_DIFFERENT: Final = 400_000
"""Different addresses and ports that are counted apart, of all kinds together: 55 MB (Python 3.11)."""

NO_STATE: Final = "-"
"""The name of TCP entries of which no state is told."""

_NAMES: Final = {number: name for name, number in PROTOCOL_NUMBERS.items()}
_TCP: Final = PROTOCOL_NUMBERS["tcp"]
_ZONE: Final = pattern(rb"\b(zone(?:-orig|-reply)?)=(\d+)")
_SHAPE: Final[Callable[[Row], Row]] = itemgetter(HEAD, STATE, UNREPLIED, MIRRORED, ASSURED)
_SOURCE: Final = itemgetter(SOURCE)
_DESTINATION: Final = itemgetter(DESTINATION)
_PORT: Final = itemgetter(DESTINATION_PORT)
_HEAD_AND_PORT: Final = itemgetter(HEAD, DESTINATION_PORT)
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
        self._ports: defaultdict[str, Frequent] = defaultdict(Frequent)
        self._sevenths = Frequent()

    def add(self, rows: Sequence[Row], with_extras: bool = True) -> None:
        """Count some more.

        Args:
            rows: of each entry, all its columns.
            with_extras: whether any of them may be in a zone or offloaded.
        """
        self.entries += len(rows)
        shapes = Counter(map(_SHAPE, rows))
        self._shapes.update(shapes)
        if any(_family(shape[HEAD]) is None for shape in shapes):
            sixes = sum(b":" in row[SOURCE] for row in rows if _family(row[HEAD]) is None)
            self._families.update(IPv6=sixes, IPv4=sum(_family(row[HEAD]) is None for row in rows) - sixes)
        if with_extras:
            self._add_extras(rows)
        irregular = [row for row in rows if row[SEVENTH]] if with_extras else []
        regular = [row for row in rows if not row[SEVENTH]] if irregular else rows
        with_state = [row for row in regular if row[STATE]]
        without = [row for row in regular if not row[STATE]] if with_state else regular
        for at, some in enumerate((with_state, without, irregular)):
            self._sources[at].counts.update(map(_SOURCE, some))
            self._destinations[at].counts.update(map(_DESTINATION, some))
            self._add_ports(some, shapes)
        self._sevenths.counts.update(map(_SEVENTH, irregular))
        self._keep_bounded()

    def _add_extras(self, rows: Sequence[Row]) -> None:
        for extras, number in Counter(map(_EXTRAS, rows)).items():
            for word, zone in _ZONE.findall(extras):
                if int(zone):
                    self._extras[f"{word.decode()}={int(zone)}"] += number
            if b"OFFLOAD]" in extras:
                self._extras["offloaded"] += number

    def _add_ports(self, rows: Sequence[Row], shapes: Iterable[Row]) -> None:
        if not rows:
            return
        has_state = bool(rows[0][STATE])
        protocols = {_protocol(shape[HEAD]) for shape in shapes if bool(shape[STATE]) is has_state}
        if len(protocols) == 1:
            self._ports[protocols.pop()].counts.update(map(_PORT, rows))
            return
        for (head, port), entries in Counter(map(_HEAD_AND_PORT, rows)).items():
            self._ports[_protocol(head)].counts[port] += entries

    def _keep_bounded(self) -> None:
        """Where there are too many different ones, halve the most numerous."""
        kept = [*self._sources, *self._destinations, *self._ports.values(), self._sevenths]
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
        for (head, state, unreplied, mirrored, assured), entries in self._shapes.items():
            name = _protocol(head)
            found = Kind(name, entries, entries * bool(unreplied), entries * bool(assured), entries * (not mirrored))
            kinds[name] = kinds.get(name, Kind(name)) + found
            if name == _NAMES[_TCP]:
                states[state.decode().strip() or NO_STATE] += entries
            family = _family(head)
            if family is not None:
                families[family] += entries
        return kinds, states, families

    def _top_ports(self, number: int) -> Top:
        told = []
        for protocol, ports in self._ports.items():
            ports.counts.pop(b"", None)
            told.append(top((ports,), number, self._named(protocol)))
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


def _family(head: bytes) -> str | None:
    return {b"ipv4": "IPv4", b"ipv6": "IPv6"}.get(head[:4])


_protocols: dict[bytes, str] = {}


def _protocol(head: bytes) -> str:
    """A protocol's name, or its number for what nobody has given a name."""
    name = _protocols.get(head)
    if name is None:
        *_, word, number = head.decode().split()
        name = _protocols[head] = _NAMES.get(int(number), number if word == "unknown" else word)
    return name
