"""A hazard: what a bypass would break on a live host, by which rule, for which packets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
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
        others: rules that do the same to the rest of the packets, where hazards are told in few words (in_few).
    """

    code: str
    is_certain: bool
    traffic: Traffic
    rule: Rule | None
    space: PacketSpace
    before: Rule | None = None
    note: str = ""
    others: tuple[Rule, ...] = ()

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return BY_CODE[self.code].severity

    @property
    def witness(self) -> Packet | None:
        """One of the packets."""
        return self.space.witness()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules that do it."""
        return (self.rule, *self.others) if self.rule else ()

    @property
    def and_more(self) -> str:
        """What is said after the rule of the others, if there are any."""
        return f" and {len(self.others):,} more {'rules' if len(self.others) > 1 else 'rule'}" if self.others else ""

    def packets(self, limit: int = 4) -> tuple[str, ...]:
        """The packets in words, in at most so many boxes."""
        exact = self.space.describe(limit)
        return tuple(str(exact if exact.is_complete else self.space.cover(_NEVER_SEEN, limit)).splitlines())

    def __str__(self) -> str:
        certainty = "certain" if self.is_certain else "possible"
        by = (f" {self.rule}{self.and_more}" if self.rule else "") + (f" {self.note}" if self.note else "")
        such = f"; such as: {self.witness}" if self.witness else ""
        summary = BY_CODE[self.code].summary
        return f"{self.severity.value}: {self.code} ({certainty}, {self.traffic.value}) {summary}{by}{such}"


def gathered(found: Iterable[Hazard]) -> list[Hazard]:
    """Hazards that differ in their packets alone as one; what is certain first, then by code."""
    return _sorted(_as_one(alike) for alike in _by_kind(found, lambda one: (one.rule, one.before, one.others)))


MOST_ALIKE: Final = 3
"""Hazards of one kind that are told one by one."""

_TOLD_EACH: Final = frozenset({"HZ001", "HZ002", "HZ003"})


def in_few(found: Iterable[Hazard]) -> list[Hazard]:
    """Hazards as people read them: many of one kind, by rules of one table that one program keeps, as one.

    A node with a thousand services has two thousand rules that translate destinations. Rules that drop packets are told
    one by one, since each is remedied by itself; and who acknowledges what is asked of the hazards as they were found.
    """
    hazards = list(found)
    told = [one for one in hazards if one.code in _TOLD_EACH]
    for alike in _by_kind((one for one in hazards if one.code not in _TOLD_EACH), lambda one: _whose(one.rule)):
        rules = list(dict.fromkeys(rule for one in alike for rule in one.rules))
        if len(rules) <= MOST_ALIKE:
            told += alike
        else:
            befores = {one.before for one in alike}
            before = befores.pop() if len(befores) == 1 else None
            told.append(replace(_as_one(alike), rule=rules[0], before=before, others=tuple(rules[1:])))
    return _sorted(told)


def _by_kind(found: Iterable[Hazard], of: Callable[[Hazard], object]) -> Iterable[list[Hazard]]:
    """Hazards that are told in the same words and have the same of something else; none without packets."""
    alike: dict[object, list[Hazard]] = {}
    for one in found:
        if one.space:
            alike.setdefault((one.code, one.is_certain, one.traffic, one.note, of(one)), []).append(one)
    return alike.values()


def _whose(rule: Rule | None) -> object:
    return rule and (rule.tool, rule.family, rule.table, rule.owner)


def _as_one(alike: Sequence[Hazard]) -> Hazard:
    return replace(alike[0], space=together(one.space for one in alike))


def _sorted(hazards: Iterable[Hazard]) -> list[Hazard]:
    return sorted(hazards, key=lambda one: (not one.is_certain, one.code))


def certain_and_possible(
    code: str, traffic: Traffic, step: Step, possibly: PacketSpace, certainly: PacketSpace, before: Rule | None = None
) -> Iterable[Hazard]:
    """One hazard for what certainly breaks, and one for what else may."""
    yield Hazard(code, True, traffic, step.rule, possibly & certainly, before)
    yield Hazard(code, False, traffic, step.rule, possibly - certainly, before)
