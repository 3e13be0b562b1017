"""Entries of a policy that keep packets tracked, or a narrower entry, each proved before it is offered.

Where conntrack translates packets or gives them something no accept rule helps: they have to stay tracked, and so does
all of their flow. An entry is made of each box of the packets, in the kind that covers the least of what is to be
untracked, and the hazards of what is left are asked anew: those that it is for are gone, and there is no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from ctpolicy.hazards.admission import FROM_LOOPBACK
from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.dropping import of_half_flows
from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.hazards.reversing import reverse
from ctpolicy.hazards.roles import Roles
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules
from ctpolicy.importing.candidates import kinds, matches
from ctpolicy.importing.merging import merge_alike
from ctpolicy.importing.naming import named
from ctpolicy.importing.text import entry_lines, policy_text
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Entry, Match, Overlay, Policy, Ports
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box

MOST_BOXES: Final = 8
"""Of packets that are to be kept."""

MANY: Final = 100
"""Hazards."""
MOST_QUESTIONS: Final = 16
"""Times that the hazards of something are asked for."""
MOST_OF_MANY: Final = 5
"""Likewise where there are many."""

MOST_STEPS: Final = 3
"""Times that what an entry brings about is kept tracked too."""


@dataclass(frozen=True, slots=True)
class Bypass:
    """What is asked about: a host, and what a policy leaves untracked there.

    Args:
        host: its rules.
        newly: packets that were tracked, and are to be untracked.
        untracked: all that are to be untracked.
        policy: that says so, if there is one.
        asked: the hazards that are to be helped.
        known: hazards that were asked for, by what was left untracked.
        spaces: those that there are as it is, by all but their packets.
    """

    host: HostRules
    newly: PacketSpace
    untracked: PacketSpace
    policy: Policy | None = None
    asked: Sequence[Hazard] = ()
    known: dict[PacketSpace, list[Hazard]] = field(default_factory=dict)
    spaces: dict[tuple[object, ...], PacketSpace] = field(default_factory=dict)

    @property
    def may_ask(self) -> bool:
        """Whether hazards may be asked for once more: where there are many, that takes long."""
        return len(self.known) < (MOST_QUESTIONS if len(self.asked) <= MANY else MOST_OF_MANY)

    @property
    def roles(self) -> Roles:
        """What the policy says that its packets are."""
        return Roles.of(self.policy) if self.policy else Roles.unknown()

    def without(self, kept: PacketSpace) -> list[Hazard]:
        """The hazards if packets stay tracked."""
        left = self.untracked - kept
        if left not in self.known:
            self.known[left] = hazards_between(self.host, self.newly - kept, left, self.roles)
        return self.known[left]

    def had(self, hazard: Hazard) -> bool:
        """Whether there is such a hazard as it is. Mostly it is one of those that are to be helped, but not always:
        some may have been acknowledged."""
        if not self.spaces:
            self._know(self.asked)
        if not self._knows(hazard):
            self._know(self.without(PacketSpace.none()))
        return self._knows(hazard)

    def _know(self, found: Iterable[Hazard]) -> None:
        for one in found:
            for rule in one.rules or (None,):
                for certainty in {False, one.is_certain}:  # what is certain is possible, too
                    key = (one.code, rule, certainty)
                    self.spaces[key] = self.spaces.get(key, PacketSpace.none()) | one.space

    def _knows(self, hazard: Hazard) -> bool:
        return hazard.space <= self.spaces.get((hazard.code, hazard.rule, hazard.is_certain), PacketSpace.none())


def kept_tracked(bypass: Bypass, hazards: Sequence[Hazard], taken: set[str]) -> Remedy | None:
    """Track entries against hazards.

    Args:
        bypass: what is asked about.
        hazards: that are to be gone.
        taken: names that entries have; those of the new ones are added.
    """
    wanted = PacketSpace.none()
    for hazard in hazards:
        wanted |= _to_keep(hazard, bypass.untracked)
    for _ in range(MOST_STEPS if bypass.may_ask else 0):
        entries, is_complete = _entries(wanted, bypass.untracked)
        kept = entries_space(entries)
        left = bypass.without(kept)
        wanted_away = {_what(one) for one in hazards}
        rest = [one for one in left if _what(one) in wanted_away and _is_one_of(one, hazards)]
        new = [one for one in left if not bypass.had(one)]
        if not entries or (rest and is_complete):
            return None
        if not new:
            return _offered(hazards, entries, is_complete and not rest, taken)
        for hazard in new:
            wanted |= _to_keep(hazard, bypass.untracked)
    return None


def narrower(bypass: Bypass, hazards: Sequence[Hazard]) -> Iterator[Remedy]:
    """Entries of the policy without one of their paths, where that is what hazards come from."""
    policy = bypass.policy
    for entry in policy.bypass if policy else ():
        if policy and isinstance(entry, Overlay | Ports | Match) and len(entry.paths) > 1:
            for path in sorted(entry.paths, key=lambda one: one.value):
                less = replace(entry, paths=entry.paths - {path})
                rest = bypass_space(
                    replace(policy, bypass=tuple(less if one is entry else one for one in policy.bypass))
                )
                kept = bypass_space(policy) - rest
                if bypass.may_ask and kept & bypass.newly and rest & bypass.newly and not _meet(hazards, rest):
                    left = bypass.without(kept)
                    if all(bypass.had(one) and not _is_one_of(one, hazards) for one in left):
                        lines = "\n".join(_lines(less))
                        yield Remedy(Kind.NARROWER, tuple(hazards), entries=(less,), replaces=entry.name, text=lines)


def _meet(hazards: Iterable[Hazard], rest: PacketSpace) -> bool:
    """Whether packets of hazards are still untracked, which is soon asked."""
    return any(one.traffic is not Traffic.ERRORS and one.space & rest for one in hazards)


def _lines(entry: Entry) -> list[str]:
    try:
        return list(entry_lines(entry))
    except AssertionError:  # its addresses are a group of the policy
        paths = ", ".join(path.value for path in sorted(getattr(entry, "paths", ()), key=lambda one: one.value))
        return [f"  # entry {entry.name}, with", f"    paths: [{paths}]"]


def _offered(hazards: Sequence[Hazard], entries: Sequence[Entry], is_complete: bool, taken: set[str]) -> Remedy | None:
    called = named(entries, "keep-", taken)
    codes = ", ".join(dict.fromkeys(hazard.code for hazard in hazards))
    text = policy_text("remedies", [], called, [f"Keeps packets tracked, against {codes}."])
    if entries_space(load_text(text).track) != entries_space(entries):
        return None
    notes = () if is_complete else ("Not all of the packets: they take more entries than are offered here.",)
    return Remedy(Kind.TRACK, tuple(hazards), entries=tuple(called), text=text, notes=notes, is_complete=is_complete)


def _to_keep(hazard: Hazard, untracked: PacketSpace) -> PacketSpace:
    """The packets that have to stay tracked; of errors nothing tells."""
    if hazard.traffic is Traffic.ERRORS:
        return PacketSpace.none()
    half = of_half_flows(hazard, untracked)
    found = hazard.space & untracked
    for route in Route:
        part = half & route.packets
        if part:
            found |= reverse(part, route).space & untracked
    return found


def _entries(wanted: PacketSpace, untracked: PacketSpace) -> tuple[list[Entry], bool]:
    described = wanted.cover(FROM_LOOPBACK, MOST_BOXES)
    found = [_entry(box, untracked) for box in described.boxes]
    return merge_alike(chain.from_iterable(found)), described.is_complete


def _entry(box: Box, untracked: PacketSpace) -> Iterable[Entry]:
    """What holds a box and, of what is untracked, the least besides."""
    space = PacketSpace.of_boxes([box])
    whole: list[list[Entry]] = [[one] for one in kinds(box) if not isinstance(one, Overlay | Ports)]
    each: list[list[Entry]] = [*whole, list(matches(box, both_ways=True))]
    holding = [one for one in each if space <= entries_space(one)]
    return min(holding, key=lambda one: (entries_space(one) & untracked).count(), default=[])


def _is_one_of(hazard: Hazard, hazards: Iterable[Hazard]) -> bool:
    return any(
        _what(one) == _what(hazard) and _share_rules(one, hazard) and one.space & hazard.space for one in hazards
    )


def _what(hazard: Hazard) -> tuple[object, ...]:
    return hazard.code, hazard.traffic, hazard.is_certain


def _share_rules(one: Hazard, other: Hazard) -> bool:
    has_more = bool(one.others or other.others)
    return one.rule == other.rule or (has_more and not set(one.rules).isdisjoint(other.rules))
