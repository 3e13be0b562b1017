"""Bypass entries for a set of packets, and the track entries that they need.

A policy is what some entries bypass, less what others track, and both sides are found in one way (choosing.py). First
come the exceptions (exceptions.py), which bypass entries may hold, so that an overlay less a network is still an
overlay. Whatever those entries then hold beyond the set is what track entries have to hold.

Where track entries cannot hold all that they have to, bypass entries are given up. For what is missing then, others are
chosen, which hold no exceptions: a port may be one for what is sent, but on some interfaces alone, and a track entry
for the others cannot be said. In the end they hold nothing too much but interfaces, and that can be said. Names and
patterns lie apart or in one another, so what a policy leaves over of the patterns around a packet's interface is
patterns too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ctpolicy.importing.candidates import MOST_PROTOCOLS, matches
from ctpolicy.importing.choosing import BOXES_A_ROUND, Around, choose
from ctpolicy.importing.exceptions import Exceptions, exceptions_of
from ctpolicy.importing.holes import holes_filled
from ctpolicy.importing.many import MANY
from ctpolicy.importing.merging import merge_alike
from ctpolicy.language.policy import Entry, Match, ProtocolBox
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, family_set

_OF_ANY_PROTOCOL: Final = partial(matches, widely=True)


@dataclass(frozen=True, slots=True)
class Solution:
    """Entries that bypass, and those that track; the latter hold no packet of the set that is looked for."""

    bypass: list[Entry] = field(default_factory=list)
    track: list[Entry] = field(default_factory=list)

    def missing(self, space: PacketSpace) -> PacketSpace:
        """What they do not leave untracked of a set."""
        return space - entries_space(self.bypass)


def solve(space: PacketSpace) -> Solution:
    """Entries that leave untracked what is in a set and nothing else, or as much of it as the language can say."""
    exceptions = exceptions_of(space)
    found = _solved(space, exceptions, [])
    if _single_protocols(found.bypass) <= MOST_PROTOCOLS:
        return found
    # All protocols but a few, each in an entry of its own.
    beginning = _of_any_protocol(space, space | PacketSpace.of_boxes(exceptions.boxes()))
    return _better(space, found, _solved(space, exceptions, beginning))


def _better(space: PacketSpace, *found: Solution) -> Solution:
    """The one that holds the set in the fewest entries; the first of those that are as good."""
    return min(found, key=lambda one: (bool(one.missing(space)), len(one.bypass) + len(one.track)))


def _solved(space: PacketSpace, exceptions: Exceptions, beginning: list[Entry]) -> Solution:
    """Entries for a set; the first of those that bypass are given."""
    allowed = space | PacketSpace.of_boxes(exceptions.boxes())
    left = space - entries_space(beginning)
    chosen = choose(left, allowed, around=_OF_ANY_PROTOCOL, narrow=exceptions.left_out)
    found = _held_back(Solution(), beginning + chosen, space, exceptions)
    if not found.missing(space):
        return _tidy(found, space, exceptions)
    # An entry holds an exception that no track entry can take away, such as a port that is one on some interfaces.
    several = (_completed(begun, space, exceptions) for begun in (found, Solution()))
    return _better(space, *(_tidy(one, space, exceptions) for one in several))


def _completed(found: Solution, space: PacketSpace, exceptions: Exceptions) -> Solution:
    """More entries, for what is missing. They hold no exceptions, and in the end nothing too much but interfaces.

    Names and patterns lie apart or in one another. So what is left over of the patterns around a packet's interface is
    patterns, and a track entry can say it.
    """
    for around, tracked_around in ((_OF_ANY_PROTOCOL, None), (matches, matches)):
        if missing := found.missing(space):
            proposed = choose(missing, space, around=around)
            found = _held_back(found, proposed, space, exceptions, tracked_around)
    return found


def _held_back(
    found: Solution, proposed: list[Entry], space: PacketSpace, exceptions: Exceptions, around: Around | None = None
) -> Solution:
    """With the entries that are proposed, but for those of which track entries cannot take away what is too much."""
    track, beyond = _tracks(found.bypass + proposed, found.track, space, exceptions, around)
    while beyond:
        proposed = [entry for entry in proposed if not entries_space([entry]) & beyond]
        track, beyond = _tracks(found.bypass + proposed, found.track, space, exceptions, around)
    return Solution(found.bypass + proposed, found.track + track)


def _tidy(found: Solution, space: PacketSpace, exceptions: Exceptions) -> Solution:
    """The same packets in entries that people would rather read."""
    filled, holes = holes_filled(found.bypass, space)
    if not holes:
        return Solution(merge_alike(found.bypass), merge_alike(found.track))
    anew, beyond = _tracks(filled, [], space, exceptions)
    fewer = not beyond and len(anew) < len(found.track) + len(holes)
    return Solution(merge_alike(filled), merge_alike(anew if fewer else found.track + holes))


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


def _tracks(
    bypass: Sequence[Entry],
    track: Sequence[Entry],
    space: PacketSpace,
    exceptions: Exceptions,
    around: Around | None = None,
) -> tuple[list[Entry], PacketSpace]:
    """More track entries, for what the bypass entries hold and the set does not, and what those cannot say of it."""
    extra = entries_space(bypass) - space
    left = extra - entries_space(track)
    found = _tracked_networks(exceptions) if left and len(bypass) >= MANY else []
    left -= entries_space(found)
    kept_tracked = PacketSpace.of_boxes(exceptions.boxes())
    found += choose(left, extra | kept_tracked, around=around, harmless=~space)
    return found, left - entries_space(found)


def _tracked_networks(exceptions: Exceptions) -> list[Entry]:
    """A match for the addresses that nobody has. Among many services, each would have a track entry of its own."""
    boxes = ({Field.FAMILY: family_set(f), Field.DESTINATION: values} for f, values in exceptions.addresses.items())
    return [entry for box in boxes if box[Field.DESTINATION] for entry in matches(box, both_ways=True)]
