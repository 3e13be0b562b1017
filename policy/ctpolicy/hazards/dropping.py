"""What live rules drop now and did not before, as far as an accept rule may help: hazards, by rule and hook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.hazards.admission import at_hook
from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.hazards.placing import places
from ctpolicy.hazards.rules import Hook, HostRules, Rule
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import ANY_ICMP_TYPE
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, family_set

LOSSES: Final = frozenset({"HZ001", "HZ002", "HZ003"})
"""The hazards that an accept rule may help."""

NEEDED: Final = {Family.IPV4: (3,), Family.IPV6: (2,)}
"""The ICMP types of hazard HZ003."""


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
                        alike[key] = ([*before, replace(hazard, space=there)], packets | there)
    return [Drop(*key, tuple(found), space) for key, (found, space) in alike.items()]


def of_half_flows(hazard: Hazard, untracked: PacketSpace) -> PacketSpace:
    """The packets that stay tracked, and are lost because what they answer does not."""
    return hazard.space - untracked if hazard.code == "HZ002" else PacketSpace.none()


def _kinds(hazard: Hazard, untracked: PacketSpace) -> Iterator[tuple[Situation, Family | None, PacketSpace]]:
    if hazard.traffic is not Traffic.ERRORS:
        yield Situation.UNTRACKED, None, hazard.space & untracked
        return
    for family in Family:
        space = hazard.space & PacketSpace.of_boxes([{Field.FAMILY: family_set(family)}])
        yield Situation.INVALID, family, space - untracked
        yield Situation.UNTRACKED, family, space & untracked


def needed_types(drop: Drop) -> IntervalSet:
    """The ICMP types that are lost; any of what is no ICMP error."""
    if drop.family is None:
        return ANY_ICMP_TYPE
    return IntervalSet.of((one, one) for one in NEEDED[drop.family])
