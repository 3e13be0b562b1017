"""A hazard: what a bypass would break on a live host, by which rule, for which packets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final

from ctpolicy.hazards.codes import BY_CODE, Severity
from ctpolicy.hazards.fates import together
from ctpolicy.hazards.rules import Rule, Step
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set


def _loopback_by_wire() -> Iterator[Box]:
    first = {Family.IPV4: "127.0.0.0", Family.IPV6: "::1"}
    last = {Family.IPV4: "127.255.255.255", Family.IPV6: "::1"}
    for family in Family:
        addresses = IntervalSet(((int(ip_address(first[family])), int(ip_address(last[family]))),))
        for end in (Field.SOURCE, Field.DESTINATION):
            yield {Field.PATH: path_set(Path.IN, Path.FORWARD), Field.FAMILY: family_set(family), end: addresses}


_NEVER_SEEN: Final = PacketSpace.of_boxes(_loopback_by_wire())
"""Packets that no wire brings: whether they are among others makes no difference in words."""


class Traffic(Enum):
    """Which packets of a flow a hazard is about."""

    REQUESTS = "requests"
    REPLIES = "replies"
    ERRORS = "icmp errors"
    MIDSTREAM = "flows in mid-stream"


@dataclass(frozen=True, slots=True)
class Hazard:
    """What would break.

    Args:
        code: of codes.py.
        is_certain: whether it breaks whatever rules ask that ctpolicy does not model; of packets that were dropped
            before, or that no host sends, nothing breaks.
        traffic: which packets of flows.
        rule: the live rule that does it, or no longer does it; None for what is about no rule.
        before: the rule that accepted the packets while they were tracked, where that is told.
        space: the packets.
        note: what else is to be said, in words.
    """

    code: str
    is_certain: bool
    traffic: Traffic
    rule: Rule | None
    space: PacketSpace
    before: Rule | None = None
    note: str = ""

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return BY_CODE[self.code].severity

    @property
    def witness(self) -> Packet | None:
        """One of the packets."""
        return self.space.witness()

    def packets(self, limit: int = 4) -> tuple[str, ...]:
        """The packets in words, in at most so many boxes."""
        exact = self.space.describe(limit)
        return tuple(str(exact if exact.is_complete else self.space.cover(_NEVER_SEEN, limit)).splitlines())

    def __str__(self) -> str:
        certainty = "certain" if self.is_certain else "possible"
        by = (f" {self.rule}" if self.rule else "") + (f" {self.note}" if self.note else "")
        such = f"; such as: {self.witness}" if self.witness else ""
        summary = BY_CODE[self.code].summary
        return f"{self.severity.value}: {self.code} ({certainty}, {self.traffic.value}) {summary}{by}{such}"


def gathered(found: Iterable[Hazard]) -> list[Hazard]:
    """Hazards that differ in their packets alone as one; what is certain first, then by code."""
    alike: dict[tuple[str, bool, Traffic, Rule | None, Rule | None, str], list[PacketSpace]] = {}
    for one in found:
        if one.space:
            key = (one.code, one.is_certain, one.traffic, one.rule, one.before, one.note)
            alike.setdefault(key, []).append(one.space)
    hazards = [
        Hazard(code, is_certain, traffic, rule, together(spaces), before, note)
        for (code, is_certain, traffic, rule, before, note), spaces in alike.items()
    ]
    return sorted(hazards, key=lambda one: (not one.is_certain, one.code))


def certain_and_possible(
    code: str, traffic: Traffic, step: Step, possibly: PacketSpace, certainly: PacketSpace, before: Rule | None = None
) -> Iterable[Hazard]:
    """One hazard for what certainly breaks, and one for what else may."""
    yield Hazard(code, True, traffic, step.rule, possibly & certainly, before)
    yield Hazard(code, False, traffic, step.rule, possibly - certainly, before)
