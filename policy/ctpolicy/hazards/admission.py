"""The packets that an accept rule lets in again, one box a rule, and that rule in the form of rules.py.

A rule asks for the state that the packets have now, `untracked` or `invalid`, and for all that a box says of them. One
that would ask for nothing but the state is not made: it would accept whatever anybody bypasses later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Asked, Decision, Hook, Rule, Step, Verdict, Within
from ctpolicy.hazards.situations import Situation, in_state
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interval_pattern
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FAMILIES, Box, Field, family_set, path_set

MOST_BOXES: Final = 8
"""Of what a rule drops. What is beyond is told, and not remedied."""

NO_TYPES: Final = IntervalSet()
"""Of packets that are no ICMP errors."""

_ASKED: Final = {
    Field.FAMILY: Asked.FAMILY,
    Field.PROTOCOL: Asked.PROTOCOL,
    Field.SOURCE: Asked.SOURCE,
    Field.DESTINATION: Asked.DESTINATION,
    Field.SOURCE_PORT: Asked.SOURCE_PORT,
    Field.DESTINATION_PORT: Asked.DESTINATION_PORT,
}
_INCOMING: Final = frozenset({Hook.PREROUTING, Hook.INPUT, Hook.FORWARD})
LOOPBACK_SOURCES: Final = {
    Family.IPV4: IntervalSet(((0x7F000000, 0x7FFFFFFF),)),
    Family.IPV6: IntervalSet.single(1),
}
"""127.0.0.0/8 and ::1."""
FROM_LOOPBACK: Final = PacketSpace.of_boxes(
    {Field.PATH: path_set(Path.IN, Path.FORWARD), Field.FAMILY: family_set(family), Field.SOURCE: sources}
    for family, sources in LOOPBACK_SOURCES.items()
)
"""Packets that nobody sends: the kernel takes none from outside with a source of its own `lo`."""
_ANY_INTERFACE: Final = IntervalSet.full(INTERFACE_BITS)
_OUT: Final = path_set(Path.OUT)


@dataclass(frozen=True, slots=True)
class Admission:
    """Packets that one rule is to accept.

    Args:
        box: they, whatever their path: that is the hook's; without INTERFACE if the hook does not tell it.
        interface: which interface the box's is at the hook.
        situation: what they are to conntrack now: UNTRACKED or INVALID.
        icmp_types: the ICMP types that they have; empty for any.
    """

    box: Box
    interface: Asked
    situation: Situation
    icmp_types: IntervalSet = NO_TYPES

    @property
    def family(self) -> Family | None:
        """Of the packets; None for both."""
        values = self.box.get(Field.FAMILY)
        return None if values is None or len(FAMILIES) == _size(values) else FAMILIES[values.intervals[0][0]]

    @property
    def space(self) -> PacketSpace:
        """The packets, on every path."""
        return PacketSpace.of_boxes([self.box])

    def step(self, rule: Rule) -> Step:
        """The rule."""
        values = {_ASKED[field]: found for field, found in self.box.items() if field in _ASKED}
        if Field.INTERFACE in self.box:
            values[self.interface] = self.box[Field.INTERFACE]
        if self.icmp_types:
            values[Asked.ICMP_TYPE] = self.icmp_types
        tracking = in_state(self.situation.value)
        return Step(rule, (Within((values,)),), tracking, (), Decision(Verdict.ACCEPT))


@dataclass(frozen=True, slots=True)
class Admissions:
    """What is to be accepted at one hook.

    Args:
        each: a rule for each.
        is_complete: whether they are all that was asked for.
    """

    each: tuple[Admission, ...]
    is_complete: bool

    @property
    def space(self) -> PacketSpace:
        """The packets, on every path."""
        return PacketSpace.of_boxes(one.box for one in self.each)


def at_hook(space: PacketSpace, hook: Hook) -> PacketSpace:
    """The packets that come to a hook."""
    found = PacketSpace.none()
    for route in Route:
        if hook in route.hooks:
            found |= space & route.packets
    return found


def admissions(
    space: PacketSpace,
    within: PacketSpace,
    hook: Hook,
    situation: Situation,
    icmp_types: IntervalSet = NO_TYPES,
) -> Admissions:
    """Rules for packets at a hook; none for a box that says nothing.

    Args:
        space: the packets.
        within: others that may be accepted too, for fewer words: they pass anyway, or nobody sends them.
        hook: the hook.
        situation: what the packets are to conntrack.
        icmp_types: of ICMP errors.
    """
    described = at_hook(space, hook).cover(at_hook(within, hook), MOST_BOXES)
    boxes = [_from_elsewhere(box, space) for box in described.boxes]
    found = [_admission(box, hook, situation, icmp_types) for box in boxes]
    told = [one for one in found if one is not None]
    return Admissions(tuple(_without_parts(told)), described.is_complete and len(told) == len(found))


def _admission(box: Box, hook: Hook, situation: Situation, icmp_types: IntervalSet) -> Admission | None:
    is_out = box.get(Field.PATH) == _OUT
    asked = Asked.INCOMING if hook in _INCOMING else Asked.OUTGOING
    is_told = hook is not Hook.POSTROUTING or is_out
    left_out = {Field.PATH} if is_told else {Field.PATH, Field.INTERFACE}
    kept = {field: values for field, values in box.items() if field not in left_out}
    return None if _is_blanket(kept) else Admission(kept, asked, situation, icmp_types)


def _is_blanket(box: Box) -> bool:
    """Whether a box says nothing that narrows it: all interfaces but a few are all."""
    names = box.get(Field.INTERFACE, _ANY_INTERFACE)
    is_of_few = all(interval_pattern(interval) is not None for interval in names) and names != _ANY_INTERFACE
    return not box.keys() - {Field.FAMILY, Field.INTERFACE} and not is_of_few


def _from_elsewhere(box: Box, space: PacketSpace) -> Box:
    """A box without sources that nobody has but `lo`, where they came in as a few among others."""
    paths, sources = box.get(Field.PATH), box.get(Field.SOURCE)
    if sources is None or Field.FAMILY not in box or paths is None or paths & _OUT:
        return box
    family = FAMILIES[box[Field.FAMILY].intervals[0][0]]
    rest = sources & LOOPBACK_SOURCES[family].complement(family.bits)
    less = {**box, Field.SOURCE: rest}
    return less if space & PacketSpace.of_boxes([box]) <= PacketSpace.of_boxes([less]) else box


def _without_parts(found: Iterable[Admission]) -> Iterator[Admission]:
    """Those whose packets no other one has all of."""
    left = list(found)
    for at, one in enumerate(left):
        others = (other for place, other in enumerate(left) if place != at)
        if not any(
            one.space <= other.space and (one.space != other.space or at > left.index(other)) for other in others
        ):
            yield one


def _size(values: IntervalSet) -> int:
    return sum(last - first + 1 for first, last in values)
