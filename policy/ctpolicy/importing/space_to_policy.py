"""What a ruleset leaves untracked, as a policy that is proved to mean it.

    Untracked ──choose──▶ entries ──text──▶ YAML ──load──▶ Policy ──meaning──▶ the same packets

A policy is what some entries bypass, less what others track, and both sides are found in one way (choosing.py). First
come the exceptions (exceptions.py), which bypass entries may hold, so that an overlay less a network is still an
overlay. Whatever those entries then hold beyond the ruleset is what track entries have to hold.

An import never bypasses more than was read. Where track entries cannot hold all that they have to, bypass entries are
given up, and what is missing is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.importing.candidates import MOST_PROTOCOLS, matches
from ctpolicy.importing.choosing import BOXES_A_ROUND, choose
from ctpolicy.importing.exceptions import Exceptions, exceptions_of
from ctpolicy.importing.holes import holes_filled
from ctpolicy.importing.many import MANY
from ctpolicy.importing.merging import merge_alike
from ctpolicy.importing.naming import named
from ctpolicy.importing.text import policy_text
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Entry, Match, Policy, ProtocolBox
from ctpolicy.language.protection import DEFAULT, uncovered
from ctpolicy.meaning_space import bypass_space, entries_space
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, family_set

ACKNOWLEDGED: Final = "was bypassed on the host when it was imported"

MOST_TOLD: Final = 8
"""Boxes of what could not be expressed."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A policy for what was read.

    Args:
        text: the policy as YAML, with remarks about what is not in it.
        policy: what that text is, loaded.
        missing: packets that are certainly untracked, and that no entry could be found for.
        unsure: packets that may be untracked; rules ask something about them that ctpolicy does not model.
    """

    text: str
    policy: Policy
    missing: PacketSpace
    unsure: PacketSpace

    @property
    def is_complete(self) -> bool:
        """Whether the policy leaves exactly those packets untracked that the ruleset does."""
        return not self.missing and not self.unsure

    def remarks(self) -> list[str]:
        """What is not in the policy, as lines of text."""
        return [
            *_told("Not in this policy: untracked, but ctpolicy has no entry for it", self.missing),
            *_told("Not in this policy: untracked or not by what ctpolicy does not model (marks, rates)", self.unsure),
        ]


def import_untracked(untracked: Untracked, name: str) -> Imported:
    """The policy that means what a ruleset leaves certainly untracked, or as much of it as the language can say."""
    space, unsure = untracked.certainly, untracked.possibly - untracked.certainly
    bypass, track = _entries(space)
    text = policy_text(name, bypass, track, [])
    policy = load_text(text, f"{name}.yaml")
    meant = bypass_space(policy)
    assert meant <= space, "an import never bypasses more than was read"
    imported = Imported(text, policy, space - meant, unsure)
    head = ["Imported from a ruleset. What it leaves untracked was untracked there.", *imported.remarks()]
    return replace(imported, text=policy_text(name, bypass, track, head))


def _told(heading: str, space: PacketSpace) -> Iterator[str]:
    if space:
        yield f"{heading}:"
        yield from (f"  {line}" for line in str(space.describe(MOST_TOLD)).splitlines())


def _entries(space: PacketSpace) -> tuple[list[Entry], list[Entry]]:
    exceptions = exceptions_of(space)
    bypass, track = _solved(space, exceptions, [])
    if _single_protocols(bypass) > MOST_PROTOCOLS:  # all protocols but a few, each in an entry of its own
        beginning = _of_any_protocol(space, space | PacketSpace.of_boxes(exceptions.boxes()))
        other = _solved(space, exceptions, beginning)
        if len(other[0]) + len(other[1]) < len(bypass) + len(track) and _meant(other) == space:
            bypass, track = other
    taken: set[str] = set()
    return _acknowledged(named(bypass, "", taken)), named(track, "tracked-", taken)


def _solved(space: PacketSpace, exceptions: Exceptions, beginning: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Bypass and track entries for a set; the first of those that bypass are given."""
    allowed = space | PacketSpace.of_boxes(exceptions.boxes())
    bypass = beginning + choose(space - entries_space(beginning), allowed, widely=True, narrow=exceptions.left_out)
    track, beyond = _tracks(bypass, space, exceptions)
    if beyond:
        bypass = [entry for entry in bypass if not entries_space([entry]) & beyond]
        track, _ = _tracks(bypass, space, exceptions)
    filled, holes = holes_filled(bypass, space)
    if not holes:
        return merge_alike(bypass), merge_alike(track)
    anew, beyond = _tracks(filled, space, exceptions)
    fewer = not beyond and len(anew) < len(track) + len(holes)
    return merge_alike(filled), merge_alike(anew if fewer else track + holes)


def _meant(entries: tuple[list[Entry], list[Entry]]) -> PacketSpace:
    bypass, track = entries
    return entries_space(bypass) - entries_space(track)


def _single_protocols(entries: Iterable[Entry]) -> int:
    return sum(isinstance(entry, Match) and entry.boxes != (ProtocolBox(),) for entry in entries)


def _of_any_protocol(space: PacketSpace, allowed: PacketSpace) -> list[Entry]:
    """Matches of every protocol, for boxes of all but a few; track entries take the few away again."""
    boxes = space.cover(allowed, BOXES_A_ROUND).boxes
    wide = (entry for box in boxes for entry in matches(box, widely=True) if entry.boxes == (ProtocolBox(),))
    chosen: list[Entry] = []
    for entry in sorted(dict.fromkeys(wide), key=lambda entry: -entries_space([entry]).count()):
        if not entries_space([entry]) <= entries_space(chosen):
            chosen.append(entry)
    return chosen


def _tracks(bypass: Sequence[Entry], space: PacketSpace, exceptions: Exceptions) -> tuple[list[Entry], PacketSpace]:
    """Track entries for what the bypass entries hold and the space does not, and what they could not hold of it."""
    extra = entries_space(bypass) - space
    track = _tracked_networks(exceptions) if extra and len(bypass) >= MANY else []
    left = extra - entries_space(track)
    kept_tracked = PacketSpace.of_boxes(exceptions.boxes())
    track += choose(left, extra | kept_tracked, widely=False, harmless=~space)
    return track, extra - entries_space(track)


def _tracked_networks(exceptions: Exceptions) -> list[Entry]:
    """A match for the addresses that nobody has. Among many services, each would have a track entry of its own."""
    boxes = ({Field.FAMILY: family_set(f), Field.DESTINATION: values} for f, values in exceptions.addresses.items())
    return [entry for box in boxes if box[Field.DESTINATION] for entry in matches(box, both_ways=True)]


def _acknowledged(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, those with a reason that bypass what is protected."""
    return [replace(entry, acknowledge=ACKNOWLEDGED) if uncovered(entry, DEFAULT) else entry for entry in entries]
