"""Accept rules for what is dropped now, each walked before it is offered.

A rule is put into the host's rules at a place, and packets are walked again. It is good if what was dropped there is
not any more, and if nothing passes that is not among the packets of the hazard: else the next place is tried. What is
let through here may be dropped by the next base chain. So this is done in rounds, each with the hazards that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.hazards.admission import LOOPBACK_SOURCES, Admissions, admissions, at_hook
from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.commands import Commands, commands
from ctpolicy.hazards.fates import LOST, Outcome
from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.hazards.placing import Place, places, with_steps
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Hook, HostRules, Rule
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import ANY_ICMP_TYPE
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, family_set, path_set

LOSSES: Final = frozenset({"HZ001", "HZ002", "HZ003"})
"""The hazards that an accept rule may help."""

MOST_ROUNDS: Final = 4
MOST_RULES: Final = 32
"""Live rules that drop, for which accept rules are looked for."""

_NEEDED: Final = {Family.IPV4: (3,), Family.IPV6: (2,)}
"""The ICMP types of hazard HZ003."""
_OTHERS: Final = {Family.IPV4: (11, 12), Family.IPV6: (1, 3, 4)}
"""Other errors, which are accepted too if they were before."""

_FROM_LOOPBACK: Final = PacketSpace.of_boxes(
    {Field.PATH: path_set(Path.IN, Path.FORWARD), Field.FAMILY: family_set(family), Field.SOURCE: sources}
    for family, sources in LOOPBACK_SOURCES.items()
)
"""Packets that nobody sends: the kernel takes none from outside with a source of its own `lo`."""


@dataclass(frozen=True, slots=True)
class Drop:
    """What one live rule drops at one hook now and did not before.

    Args:
        rule: the rule.
        hook: the hook.
        situation: what the packets are to conntrack now.
        family: of ICMP errors; None for other packets.
        hazards: those that say so.
        space: the packets.
    """

    rule: Rule
    hook: Hook
    situation: Situation
    family: Family | None
    hazards: tuple[Hazard, ...]
    space: PacketSpace


@dataclass(frozen=True, slots=True)
class Accepted:
    """What accept rules help.

    Args:
        remedies: the rules.
        host: the host with them.
        left: what drops still, with no rule that helps.
    """

    remedies: tuple[Remedy, ...]
    host: HostRules
    left: tuple[Drop, ...]


def accept_rules(host: HostRules, newly: PacketSpace, untracked: PacketSpace, hazards: Sequence[Hazard]) -> Accepted:
    """Accept rules for as many hazards as they can help."""
    trial = _Trial(host, newly, untracked)
    found = list(hazards)
    for _ in range(MOST_ROUNDS):
        if not trial.take(drops(host, found, untracked)):
            break
        found = hazards_between(trial.host, newly, untracked)
    return Accepted(tuple(trial.remedies), trial.host, tuple(trial.left))


def drops(host: HostRules, hazards: Iterable[Hazard], untracked: PacketSpace) -> list[Drop]:
    """The hazards of dropped packets, by rule, hook and what the packets are now."""
    alike: dict[tuple[Rule, Hook, Situation, Family | None], tuple[list[Hazard], PacketSpace]] = {}
    for hazard in hazards:
        if hazard.code in LOSSES and hazard.rule is not None:
            for situation, family, space in _kinds(hazard, untracked):
                for hook in Hook:
                    there = at_hook(space, hook)
                    if there and next(places(host, hazard.rule, hook), None):
                        key = (hazard.rule, hook, situation, family)
                        before, packets = alike.get(key, ([], PacketSpace.none()))
                        alike[key] = ([*before, hazard], packets | there)
    return [Drop(*key, tuple(found), space) for key, (found, space) in alike.items()]


def is_of_half_a_flow(hazard: Hazard, untracked: PacketSpace) -> bool:
    """Whether packets are lost that stay tracked, because what they answer does not."""
    return hazard.code == "HZ002" and not hazard.space & untracked


def _kinds(hazard: Hazard, untracked: PacketSpace) -> Iterator[tuple[Situation, Family | None, PacketSpace]]:
    if hazard.traffic is not Traffic.ERRORS:
        if not is_of_half_a_flow(hazard, untracked):
            yield Situation.UNTRACKED, None, hazard.space & untracked
        return
    for family in Family:
        space = hazard.space & PacketSpace.of_boxes([{Field.FAMILY: family_set(family)}])
        yield Situation.INVALID, family, space - untracked
        yield Situation.UNTRACKED, family, space & untracked


@dataclass(slots=True)
class _Trial:
    host: HostRules
    newly: PacketSpace
    untracked: PacketSpace
    remedies: list[Remedy] = field(default_factory=list)
    left: list[Drop] = field(default_factory=list)
    seen: set[tuple[Rule, Hook, Situation, Family | None]] = field(default_factory=set)
    passing: dict[Route, PacketSpace] = field(default_factory=dict)

    def take(self, found: Iterable[Drop]) -> bool:
        """Look for a rule for each; whether there was one."""
        number = len(self.remedies)
        for drop in found:
            key = (drop.rule, drop.hook, drop.situation, drop.family)
            if key not in self.seen:
                self.seen.add(key)
                remedy = self._remedy(drop) if len(self.seen) <= MOST_RULES else None
                if remedy is None:
                    self.left.append(drop)
                else:
                    self.remedies.append(remedy)
        return len(self.remedies) > number

    def _remedy(self, drop: Drop) -> Remedy | None:
        """The rule at the first place that is good; it stays in the host."""
        types = self._types(drop)
        within = _FROM_LOOPBACK if drop.situation is Situation.INVALID else _FROM_LOOPBACK | self._passing(drop.hook)
        admitted = admissions(drop.space, within, drop.hook, drop.situation, types)
        label = f"ctpolicy-remedy-{len(self.remedies) + 1}"
        for place in places(self.host, drop.rule, drop.hook) if admitted.each else ():
            told = commands(place, admitted.each, label)
            changed = self._changed(place, admitted)
            if told and self._helps(drop, admitted, changed) and not self._opens(drop, admitted, changed):
                self.host = changed
                return _offered(drop, admitted, place, told)
        return None

    def _passing(self, hook: Hook) -> PacketSpace:
        """Packets that pass untracked, whatever is put in."""
        found = PacketSpace.none()
        for route in _routes(hook):
            if route not in self.passing:
                walked = walk(self.host, route, Situation.UNTRACKED, self.untracked & route.packets)
                self.passing[route] = walked.certainly({Outcome.ACCEPTED})
            found |= self.passing[route]
        return found

    def _changed(self, place: Place, admitted: Admissions) -> HostRules:
        like = place.like
        rule = Rule("accept", like.tool, like.family, like.table, place.chain)
        return with_steps(self.host, place, tuple(one.step(rule) for one in admitted.each))

    def _helps(self, drop: Drop, admitted: Admissions, changed: HostRules) -> bool:
        """Whether the rule drops nothing more of what is accepted."""
        types = _needed(drop)
        for route in _routes(drop.hook):
            space = drop.space & admitted.space & route.packets
            after = walk(changed, route, drop.situation, space, types)
            if any(fate.step is not None and fate.step.rule == drop.rule for fate in after.of(LOST)):
                return False
        return True

    def _opens(self, drop: Drop, admitted: Admissions, changed: HostRules) -> bool:
        """Whether other packets pass than those of the hazard."""
        space, types = admitted.space - drop.space - _FROM_LOOPBACK, self._types(drop) or ANY_ICMP_TYPE
        if drop.situation is Situation.UNTRACKED:
            space &= self.untracked
        for route in Route:
            if space & route.packets:
                before, after = (walk(one, route, drop.situation, space, types) for one in (self.host, changed))
                passed = {Outcome.ACCEPTED, Outcome.TRANSLATED}
                if after.possibly(passed) - before.possibly(passed):
                    return True
        return False

    def _types(self, drop: Drop) -> IntervalSet:
        """Of ICMP errors: the types that were accepted as related."""
        if drop.family is None:
            return IntervalSet()
        found = list(_NEEDED[drop.family])
        for one in _OTHERS[drop.family]:
            walked = [
                (route, walk(self.host, route, Situation.RELATED, drop.space, IntervalSet.single(one)))
                for route in _routes(drop.hook)
            ]
            if all(drop.space & route.packets <= way.certainly({Outcome.ACCEPTED}) for route, way in walked):
                found.append(one)
        return IntervalSet.of((one, one) for one in found)


def _needed(drop: Drop) -> IntervalSet:
    if drop.family is None:
        return ANY_ICMP_TYPE
    return IntervalSet.of((one, one) for one in _NEEDED[drop.family])


def _routes(hook: Hook) -> list[Route]:
    return [route for route in Route if hook in route.hooks]


def _offered(drop: Drop, admitted: Admissions, place: Place, told: Commands) -> Remedy:
    notes = () if admitted.is_complete else ("Not all of the packets: they take more rules than are offered here.",)
    return Remedy(
        Kind.ACCEPT,
        drop.hazards,
        told.do,
        told.undo,
        str(place),
        told.lasting,
        notes=notes,
        is_complete=admitted.is_complete,
    )
