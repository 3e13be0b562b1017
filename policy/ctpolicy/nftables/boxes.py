"""A policy's legs as nftables sees them: one hook for in and forward, one table for both families.

Legs that differ only in what one rule can leave unsaid are merged, so that the OpenShift rule stays one rule:
in and forward together are all of prerouting, and ipv4 and ipv6 together are all of `inet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from ctpolicy.language.policy import ANY_PORT, BOTH_FAMILIES, Entry, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.packetspace.fields import PORT_BITS, Family, Path
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

    @property
    def chain(self) -> str:
        """The chain that counts and decides for the entry."""
        return f"{self.role.value}_{self.entry}"

    def is_free(self, hook: Hook) -> bool:
        """Whether it holds every packet at the hook of its protocol, which whoever asks has looked at."""
        return replace(self, protocol=None) == Box(self.entry, self.role, hook.paths)


def boxes(policy: Policy, hook: Hook, role: Role) -> list[Box]:
    """The boxes of one role at one hook, by entry name."""
    entries = policy.bypass if role is Role.BYPASS else policy.track
    return [box for entry in entries for box in _entry_boxes(entry, hook, role)]


def _entry_boxes(entry: Entry, hook: Hook, role: Role) -> list[Box]:
    found = [_box(entry.name, role, leg) for leg in legs(entry) if leg.path in hook.paths]
    with_families = _merged(found, _but_for_family, _join_families)
    return _merged(with_families, lambda box: replace(box, paths=frozenset()), _join_paths)


def _but_for_family(box: Box) -> Box:
    # An ipv4 set of integers is not an ipv6 set of the same integers, so addresses keep families apart.
    has_addresses = box.source is not None or box.destination is not None
    return box if has_addresses else replace(box, families=frozenset())


def _box(entry: str, role: Role, leg: Leg) -> Box:
    return Box(
        entry,
        role,
        frozenset({leg.path}),
        frozenset({leg.family}),
        leg.protocol,
        _unless_full(leg.source, leg.family.bits),
        _unless_full(leg.destination, leg.family.bits),
        _unless_full(leg.source_ports, PORT_BITS),
        _unless_full(leg.destination_ports, PORT_BITS),
        None if leg.interfaces.is_any else leg.interfaces,
    )


def _unless_full(values: IntervalSet, bits: int) -> IntervalSet | None:
    return None if values == (ANY_PORT if bits == PORT_BITS else IntervalSet.full(bits)) else values


def _merged(found: Iterable[Box], key: Callable[[Box], Box], join: Callable[[Box, Box], Box]) -> list[Box]:
    merged: dict[Box, Box] = {}
    for box in found:
        known = merged.get(key(box))
        merged[key(box)] = box if known is None else join(known, box)
    return list(merged.values())


def _join_families(one: Box, other: Box) -> Box:
    return replace(one, families=one.families | other.families)


def _join_paths(one: Box, other: Box) -> Box:
    return replace(one, paths=one.paths | other.paths)
