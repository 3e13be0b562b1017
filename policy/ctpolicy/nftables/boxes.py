"""A policy's legs as nftables sees them: one hook for in and forward, one table for both families.

Legs that differ only in what one rule can leave unsaid are merged, so that the OpenShift rule stays one rule:
in and forward together are all of prerouting, and ipv4 and ipv6 together are all of `inet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

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
        return frozenset({Path.OUT}) if self is Hook.OUTPUT else frozenset({Path.IN, Path.FORWARD})

    @property
    def interface(self) -> str:
        """The meta key of the interface that a policy names there."""
        return "oifname" if self is Hook.OUTPUT else "iifname"


class Role(Enum):
    """What an entry does with its packets; the value is how its chain's name begins."""

    TRACK = "track"
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Box:
    """Packets at one hook that one entry covers. None, or the whole of a set, is no constraint.

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
        for entry in entries:
            own = legs(entry)
            for hook in Hook:
                found[hook, role] += _merged(entry.name, role, [leg for leg in own if leg.path in hook.paths])
    return found


def _merged(entry: str, role: Role, own: Iterable[Leg]) -> Iterator[Box]:
    alike: dict[tuple[object, ...], list[Leg]] = {}
    for leg in own:
        alike.setdefault(_but_for_path_and_family(leg), []).append(leg)
    for same in alike.values():
        paths: dict[Family, set[Path]] = {}
        for leg in same:
            paths.setdefault(leg.family, set()).add(leg.path)
        families: dict[frozenset[Path], set[Family]] = {}
        for family, of_family in paths.items():
            families.setdefault(frozenset(of_family), set()).add(family)
        for of_all, with_them in families.items():
            yield _box(entry, role, of_all, frozenset(with_them), same[0])


def _but_for_path_and_family(leg: Leg) -> tuple[object, ...]:
    source, destination = _addresses(leg.source, leg.family), _addresses(leg.destination, leg.family)
    # An ipv4 set of integers is not an ipv6 set of the same integers, so addresses keep families apart.
    family = None if source is None and destination is None else leg.family
    return family, leg.protocol, source, destination, leg.source_ports, leg.destination_ports, leg.interfaces


def _box(entry: str, role: Role, paths: frozenset[Path], families: frozenset[Family], leg: Leg) -> Box:
    on_loopback = leg.interfaces.patterns == (LOOPBACK,)
    return Box(
        entry,
        role,
        paths,
        families,
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
