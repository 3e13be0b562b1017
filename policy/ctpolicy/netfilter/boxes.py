"""A policy's legs as nftables sees them: one hook for in and forward, one table for both families.

Legs that differ only in what one rule can leave unsaid are merged, so that the OpenShift rule stays one rule:
in and forward together are all of prerouting, and ipv4 and ipv6 together are all of `inet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from ctpolicy.language.policy import ANY_ADDRESS, ANY_PORT, BOTH_FAMILIES, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import IntervalSet


class Hook(Enum):
    """The two hooks that can decide about tracking, by netfilter's names."""

    PREROUTING = "prerouting"
    OUTPUT = "output"

    @property
    def paths(self) -> frozenset[Path]:
        """The paths of the packets that meet it."""
        return _PATHS[self]

    @property
    def interface(self) -> str:
        """The meta key of the interface that a policy names there."""
        return "oifname" if self is Hook.OUTPUT else "iifname"


_PATHS: Final = {Hook.PREROUTING: frozenset({Path.IN, Path.FORWARD}), Hook.OUTPUT: frozenset({Path.OUT})}


class Role(Enum):
    """What an entry does with its packets; the value is how its chain's name begins."""

    TRACK = "track"
    BYPASS = "bypass"


class Box(NamedTuple):
    """Packets at one hook that one entry covers. None, or the whole of a set, is no constraint.

    A tuple, because 10,000 entries make 80,000 of them: a dataclass takes four times as long.

    Args:
        entry: the entry's name.
        role: what it does.
        paths: those of the hook that it covers.
        families: likewise; one if there are addresses.
        protocol: IP protocol number.
        source: addresses; likewise `destination`.
        source_ports: ports; likewise `destination_ports`.
        interfaces: incoming at prerouting, outgoing at output.
        on_loopback: whether it is about `lo` alone. Every service on the host has such a box, so maps are asked about
            those in one rule, and not in a chain for each.
    """

    entry: str
    role: Role
    paths: frozenset[Path]
    families: frozenset[Family] = BOTH_FAMILIES
    protocol: int | None = None
    source: IntervalSet | None = None
    destination: IntervalSet | None = None
    source_ports: IntervalSet | None = None
    destination_ports: IntervalSet | None = None
    interfaces: Interfaces | None = None
    on_loopback: bool = False

    @property
    def chain(self) -> str:
        """The chain that counts and decides for the entry."""
        return f"{self.role.value}_{self.entry}"

    def is_free(self, hook: Hook) -> bool:
        """Whether it holds every packet at the hook of its protocol, which whoever asks has looked at."""
        asked = (self.source, self.destination, self.source_ports, self.destination_ports, self.interfaces)
        return (
            asked == (None,) * 5
            and not self.on_loopback
            and self.families == BOTH_FAMILIES
            and self.paths == hook.paths
        )


def boxes(policy: Policy) -> dict[tuple[Hook, Role], list[Box]]:
    """The boxes of each role at each hook, by entry name."""
    found: dict[tuple[Hook, Role], list[Box]] = {(hook, role): [] for hook in Hook for role in Role}
    for role, entries in ((Role.TRACK, policy.track), (Role.BYPASS, policy.bypass)):
        incoming, outgoing = found[Hook.PREROUTING, role], found[Hook.OUTPUT, role]
        for entry in entries:
            own = legs(entry)
            incoming += _merged(entry.name, role, [leg for leg in own if leg.path is not Path.OUT])
            outgoing += _merged(entry.name, role, [leg for leg in own if leg.path is Path.OUT])
    return found


_Asked = tuple[
    int | None, IntervalSet | None, IntervalSet | None, IntervalSet | None, IntervalSet | None, Interfaces | None, bool
]
"""What a box asks of a packet, from its protocol on."""


def _merged(entry: str, role: Role, own: Iterable[Leg]) -> Iterator[Box]:
    alike: dict[tuple[Family | None, _Asked], list[tuple[Path, Family]]] = {}
    for leg in own:
        asked = _, source, destination, *_ = _asked(leg)
        # An ipv4 set of integers is not an ipv6 set of the same integers, so addresses keep families apart.
        told_apart = None if source is None and destination is None else leg.family
        alike.setdefault((told_apart, asked), []).append((leg.path, leg.family))
    for (family, asked), corners in alike.items():
        on_loopback = asked[-1]
        if on_loopback and set(corners) <= set(alike.get((family, (*asked[:-1], False)), ())):
            continue  # a match both ways says of `lo` again what it says of every interface
        for paths, families in _products(tuple(corners)):
            yield Box(entry, role, paths, families, *asked)


@cache
def _products(corners: tuple[tuple[Path, Family], ...]) -> tuple[tuple[frozenset[Path], frozenset[Family]], ...]:
    """The same pairs as products of paths and families: one, if every family has the same paths."""
    paths: dict[Family, set[Path]] = {}
    for path, family in corners:
        paths.setdefault(family, set()).add(path)
    families: dict[frozenset[Path], set[Family]] = {}
    for family, of_family in paths.items():
        families.setdefault(frozenset(of_family), set()).add(family)
    return tuple((of_all, frozenset(with_them)) for of_all, with_them in families.items())


def _asked(leg: Leg) -> _Asked:
    on_loopback = leg.interfaces.patterns == (LOOPBACK,)
    return (
        leg.protocol,
        _addresses(leg.source, leg.family),
        _addresses(leg.destination, leg.family),
        _ports(leg.source_ports),
        _ports(leg.destination_ports),
        None if leg.interfaces.is_any or on_loopback else leg.interfaces,
        on_loopback,
    )


def _addresses(values: IntervalSet, family: Family) -> IntervalSet | None:
    return None if values == ANY_ADDRESS.of(family) else values


def _ports(values: IntervalSet) -> IntervalSet | None:
    return None if values == ANY_PORT else values
