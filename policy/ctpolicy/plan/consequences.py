"""What a plan would break on its host: the hazards of what it leaves untracked, and of what it tracks again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from ctpolicy.hazards.again import CODE as AGAIN
from ctpolicy.hazards.again import hazards_of_tracking
from ctpolicy.hazards.between import Told, hazards_between
from ctpolicy.hazards.codes import CODES, Severity
from ctpolicy.hazards.fates import together
from ctpolicy.hazards.hazard import Hazard, Traffic, gathered, in_few
from ctpolicy.hazards.roles import Roles
from ctpolicy.hazards.rules import HostRules
from ctpolicy.language.policy import Entry, Policy
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.netfilter.shadow import Shadow
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.plan.decided_first import CODE as IN_VAIN
from ctpolicy.plan.decided_first import decided_first
from ctpolicy.plan.moved import Moved
from ctpolicy.plan.surroundings import Surroundings

MOST_WORK: Final = 30_000_000
"""What looking for hazards may do: some 30 s. Two walks of a host with 1,000 services of kube-proxy take a third."""

TOO_LARGE: Final = "too many different packets and rules to tell what breaks"
GIVEN_UP: Final = "HZ017"
"""The code of what nobody looked for to the end."""
BETWEEN: Final = frozenset(one.code for one in CODES) - {AGAIN, GIVEN_UP, IN_VAIN}
"""The codes of hazards that packets have which are newly untracked."""
_CODE: Final = re.compile(r"\bHZ\d{3}\b")


class FailOn(Enum):
    """Which hazards are too many for whoever plans."""

    CERTAIN = "certain"
    POSSIBLE = "possible"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A hazard of a plan.

    Args:
        hazard: itself.
        acknowledged: entries that leave its packets untracked and say that this is known.
    """

    hazard: Hazard
    acknowledged: tuple[str, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether applying the plan takes somebody who accepts it: traffic is certainly lost, and nobody has."""
        return self.hazard.is_certain and self.hazard.severity is Severity.ERROR and not self.acknowledged


@dataclass(frozen=True, slots=True)
class Looked:
    """Where hazards were looked for.

    Args:
        rules: all of the host's but ours.
        newly: packets that are to be untracked, and may have been tracked.
        untracked: all packets that are to be untracked.
        policy: that says so; None if it is not known.
    """

    rules: HostRules
    newly: PacketSpace
    untracked: PacketSpace
    policy: Policy | None

    @property
    def roles(self) -> Roles:
        """What the policy says that its packets are."""
        return Roles.of(self.policy) if self.policy else Roles.unknown()


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a plan would break.

    Args:
        found: what is certain first.
        unknown: what is not known of the host.
        looked: where it was looked for; None if it was not.
    """

    found: tuple[Foreseen, ...] = ()
    unknown: tuple[str, ...] = ()
    looked: Looked | None = field(default=None, compare=False)

    @property
    def refused(self) -> tuple[Hazard, ...]:
        """The hazards for which applying the plan takes somebody who accepts them."""
        return tuple(one.hazard for one in self.found if one.is_refused)

    def fail(self, fail_on: FailOn) -> bool:
        """Whether there are hazards of this kind that nobody has acknowledged."""
        match fail_on:
            case FailOn.NONE:
                return False
            case FailOn.CERTAIN:
                return any(one.hazard.is_certain and not one.acknowledged for one in self.found)
            case FailOn.POSSIBLE:
                return any(not one.acknowledged for one in self.found)


NOT_LOOKED: Final = Consequences()


def consequences(
    moved: Moved | None,
    everything: Callable[[], Untracked],
    around: Surroundings,
    policy: Policy | None = None,
    told: Told = lambda _done, _of, _words: None,
) -> Consequences:
    """What a change of what is untracked would break.

    Args:
        moved: the change; None if it was too large to be told.
        everything: all that is to be untracked.
        around: what is known of the host.
        policy: that says so; None if it is not known.
        told: is told how far it is.
    """
    if moved is None:
        return Consequences((_given_up(PacketSpace.all(), TOO_LARGE),), around.unknown)
    if not moved:
        return NOT_LOOKED
    if around.damage:
        return Consequences((_given_up(moved.newly, around.damage),), around.unknown)
    if around.rules == HostRules():
        return Consequences((), around.unknown, Looked(around.rules, moved.newly, PacketSpace.none(), policy))
    try:
        with bounded(MOST_WORK):
            after = everything()
            looked = Looked(around.rules, moved.newly, after.certainly | moved.newly, policy)
            found = [*_of_leaving(looked, moved, after, told), *_of_returning(moved, around)]
            return Consequences(tuple(found), around.unknown, looked)
    except TooLargeError:
        return Consequences((_given_up(moved.newly, TOO_LARGE),), around.unknown)


def without_effect(policy: Policy | None, shadows: Callable[[], Iterable[Shadow]]) -> tuple[Foreseen, ...]:
    """What a policy means to bypass and others' rules decide about first; nothing where there is no policy."""
    if policy is None:
        return ()
    try:
        with bounded(MOST_WORK):
            there = [one for one in shadows() if one.possibly]
            meant = bypass_space(policy) if there else PacketSpace.none()
            return tuple(map(Foreseen, decided_first(meant, there)))
    except TooLargeError:
        return (_given_up(PacketSpace.all(), TOO_LARGE),)


def _given_up(space: PacketSpace, note: str) -> Foreseen:
    return Foreseen(Hazard(GIVEN_UP, False, Traffic.REQUESTS, None, space or PacketSpace.all(), note=note))


def _of_leaving(looked: Looked, moved: Moved, after: Untracked, told: Told) -> Iterator[Foreseen]:
    unsure = (moved.newly - moved.certainly_newly) | (after.possibly - after.certainly)
    between = hazards_between(looked.rules, looked.newly, looked.untracked, looked.roles, told)
    hazards = gathered(_certainly(between, unsure))
    acknowledging = _acknowledging(looked.policy, {one.code for one in hazards if one.is_certain})
    remaining = {code: _remaining(looked, code, entries) for code, entries in acknowledging.items()}
    split = [one for hazard in hazards for one in _split(hazard, acknowledging, remaining)]
    yield from sorted(_in_few(split), key=lambda one: (not one.hazard.is_certain, bool(one.acknowledged)))


def _in_few(found: Iterable[Foreseen]) -> Iterator[Foreseen]:
    """Those of many rules alike as one, by who has acknowledged them."""
    by: dict[tuple[str, ...], list[Hazard]] = {}
    for one in found:
        by.setdefault(one.acknowledged, []).append(one.hazard)
    for acknowledged, hazards in by.items():
        yield from (Foreseen(hazard, acknowledged) for hazard in in_few(hazards))


def _certainly(hazards: Sequence[Hazard], unsure: PacketSpace) -> Iterator[Hazard]:
    """What is only possible, because nobody knows whether its packets change, said so."""
    for one in hazards:
        certain = one.space - unsure
        if one.is_certain and certain != one.space:
            yield _with_space(one, certain, is_certain=True)
            yield _with_space(one, one.space - certain, is_certain=False)
        else:
            yield one


def _with_space(hazard: Hazard, space: PacketSpace, *, is_certain: bool) -> Hazard:
    return replace(hazard, space=space, is_certain=is_certain)


def _acknowledging(policy: Policy | None, codes: set[str]) -> dict[str, list[Entry]]:
    """The entries whose `acknowledge` names a hazard's code, by code."""
    found: dict[str, list[Entry]] = {}
    for entry in policy.bypass if policy else ():
        for code in set(_CODE.findall(entry.acknowledge or "")) & codes:
            found.setdefault(code, []).append(entry)
    return found


def _remaining(looked: Looked, code: str, entries: Sequence[Entry]) -> list[Hazard]:
    """The hazards of a code that there would be if these entries' packets did not change."""
    others = looked.newly - entries_space(entries)
    return [one for one in hazards_between(looked.rules, others, looked.untracked, looked.roles) if one.code == code]


def _split(
    hazard: Hazard, acknowledging: Mapping[str, Sequence[Entry]], remaining: Mapping[str, Sequence[Hazard]]
) -> Iterator[Foreseen]:
    """What is acknowledged of a hazard, and what is not."""
    if not hazard.space:
        return
    entries = acknowledging.get(hazard.code)
    if not entries:
        yield Foreseen(hazard)
        return
    alike = (one.space for one in remaining[hazard.code] if (one.rule, one.traffic) == (hazard.rule, hazard.traffic))
    left = hazard.space & together(alike)
    if left:
        yield Foreseen(_with_space(hazard, left, is_certain=hazard.is_certain))
    if hazard.space - left:
        names = tuple(entry.name for entry in entries)
        yield Foreseen(_with_space(hazard, hazard.space - left, is_certain=hazard.is_certain), names)


def _of_returning(moved: Moved, around: Surroundings) -> Iterator[Foreseen]:
    for hazard in hazards_of_tracking(around.rules, moved.again, is_loose=around.is_loose):
        yield Foreseen(hazard)
