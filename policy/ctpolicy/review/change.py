"""The change in packets from a base to what is reviewed, by the entries that it comes from.

A packet is newly untracked if only the head leaves it so. Of such packets there are two kinds, and no third:

1. No bypass entry of the base covers it. So one of the head does that says something else than all of the base's.
2. One does, but a track entry of the base kept it tracked. None of the head's covers it, so that one is gone or covers
   less.

Each packet is told of the entries of its kind, so that whoever reads a move finds its cause: where a `track` was
removed, the bypass that stands there unchanged is not to blame. What is tracked again is the same with base and head
exchanged.

Everything is exact. Packets are looked for only where the two can differ at all (near.py). One more move is a few walks
over a small part of the change: 10,000 entries that all differ are two large spaces, and each move then looks only
where its entry leads (PacketSpace.within). What is told is bounded, riskiest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from operator import or_
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import ANY_ADDRESS, Entry, Policy
from ctpolicy.meaning import legs
from ctpolicy.meaning_space import leg_box
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.description import Description
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.fields import LOOPBACK
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.packetspace.universe import FAMILIES, Box, Field
from ctpolicy.review.near import Near
from ctpolicy.review.review import Change, Direction, Move, Risk
from ctpolicy.review.risk import Risks
from ctpolicy.review.size_words import size_words
from ctpolicy.review.spaces import Spaces
from ctpolicy.review.turns import differing, turns_between

MOST_BOXES: Final = 8
"""Moves of one entry in one direction."""

MOST_NODES: Final = 300
"""Of a diagram that is described in full: a second at the worst. A list of 100,000 addresses is one node."""

MOST_LARGE: Final = 5
"""Entries whose packets are too many to describe in full, and of which those on `lo` are told all the same."""

MOST_MOVES: Final = 40
"""Moves of one review in one direction, so that neither hides the other: more than anybody reads."""

MOST_WORK: Final = 30_000_000
"""What a comparison may take: some 30 s at the worst (packetspace.space.bounded)."""


def change_between(
    base: Policy,
    head: Policy,
    *,
    sensitive: PacketSpace | None,
    places: Mapping[str, Place],
    base_name: str,
    spaces: Spaces | None = None,
    most_work: int = MOST_WORK,
) -> Change:
    """What changes for packets, and what became of the entries.

    It sets a limit of its own to the work with spaces, so it is not to be called where there is one.

    Args:
        base: what it was.
        head: what it is to be.
        sensitive: packets of networks that are translated, if any are known beside what the policies say.
        places: where the entries of the head stand, by name.
        base_name: the base in words.
        spaces: the head's, if they are known already.
        most_work: what it may take.
    """
    whole = _whole(base, head, spaces, most_work) if spaces else None
    try:
        with bounded(most_work):
            turns = turns_between(base, head)
            sides = whole or _sides(base, head)
            moves, is_complete = _moves(*sides, Risks.of(base, head, sensitive), places)
    except TooLargeError:
        return Change(base_name, is_complete=False, is_too_large=True)
    return Change(base_name, moves, turns, is_complete)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of two policies, and its packets, at least where the two may differ."""

    policy: Policy
    bypassed: PacketSpace
    untracked: PacketSpace

    @classmethod
    def of(cls, policy: Policy, near: Near) -> _Side:
        bypassed = near.space(policy.bypass)
        return cls(policy, bypassed, bypassed - near.space(policy.track))

    @classmethod
    def whole(cls, policy: Policy, spaces: Spaces) -> _Side:
        return cls(policy, spaces.bypassed, spaces.untracked)


def _whole(base: Policy, head: Policy, spaces: Spaces, most_work: int) -> tuple[_Side, _Side] | None:
    """Both sides with all their packets, which two sets that are built share; None if the base has no small set.

    Where one has, that is quicker than to look only where they differ: of 10,000 ports in every role, each crosses
    with one that changes.
    """
    try:
        with bounded(most_work):
            return _Side.whole(base, Spaces.of(base)), _Side.whole(head, spaces)
    except TooLargeError:
        return None


def _sides(base: Policy, head: Policy) -> tuple[_Side, _Side]:
    near = Near.of(base, head)
    return _Side.of(base, near), _Side.of(head, near)


@dataclass(frozen=True, slots=True)
class _Cause:
    """An entry that packets may change because of.

    Args:
        direction: what becomes of them.
        role: which kind of entry it is.
        entry: as it is, or was.
        why: in words.
        among: the packets that change for this kind of reason.
    """

    direction: Direction
    role: str
    entry: Entry
    why: str
    among: PacketSpace

    def parts(self, fields: Box) -> list[PacketSpace]:
        """Those of them that the entry covers and that are in these fields, by leg."""
        some = self.among.within(fields)
        return [some.within(leg_box(leg)) for leg in legs(self.entry)]

    def likely_risk(self, risks: Risks) -> Risk:
        """At least the risk of what is told of it: that of all that the entry covers."""
        return min((risks.of_box(leg_box(leg)) for leg in legs(self.entry)), default=Risk.ORDINARY)


def _moves(was: _Side, now: _Side, risks: Risks, places: Mapping[str, Place]) -> tuple[tuple[Move, ...], bool]:
    """The moves, and whether they are all."""
    causes = [*_causes(Direction.UNTRACKED, was, now), *_causes(Direction.TRACKED, now, was)]
    known = {entry.name for entry in now.policy.entries()}
    here = {name: place for name, place in places.items() if name in known}
    found: list[Move] = []
    untold = 0
    left = dict.fromkeys(Direction, MOST_MOVES)
    for cause in _riskiest_first(causes, risks):
        if left[cause.direction] <= 0:
            untold += 1
            continue
        told = _told(cause, on_loopback=untold < MOST_LARGE)
        found += _moves_of(cause, told.boxes, risks, here)
        left[cause.direction] -= len(told.boxes)
        untold += not told.is_complete
    return tuple(sorted(found, key=_order)), not untold


def _causes(direction: Direction, was: _Side, now: _Side) -> Iterator[_Cause]:
    """Why packets may be untracked now: bypass entries that are new, or else track entries that are gone."""
    changed = now.untracked - was.untracked
    uncovered, spared = changed - was.bypassed, changed & was.bypassed
    for role, among, having, without in (
        ("bypass", uncovered, now.policy.bypass, was.policy.bypass),
        ("track", spared, was.policy.track, now.policy.track),
    ):
        if among:
            names = {entry.name for entry in without}
            for entry in differing(having, without):
                yield _Cause(direction, role, entry, _WHY[direction, role, entry.name in names], among)


_WHY: Final = {
    (Direction.UNTRACKED, "bypass", False): "the entry is new",
    (Direction.UNTRACKED, "bypass", True): "it covers more than before",
    (Direction.UNTRACKED, "track", False): "the entry is gone, and no longer keeps them tracked",
    (Direction.UNTRACKED, "track", True): "it no longer keeps them tracked",
    (Direction.TRACKED, "bypass", False): "the entry is gone",
    (Direction.TRACKED, "bypass", True): "it covers less than before",
    (Direction.TRACKED, "track", False): "the entry is new, and keeps them tracked",
    (Direction.TRACKED, "track", True): "it keeps more tracked than before",
}
"""Why packets change: by what becomes of them, the entry's role, and whether both sides have one of that name."""


def _riskiest_first(causes: Sequence[_Cause], risks: Risks) -> list[_Cause]:
    """So that what is left out, where there is too much to tell, is no worse than what is told."""
    if len(causes) * MOST_BOXES <= MOST_MOVES:
        return list(causes)
    return sorted(causes, key=lambda cause: cause.likely_risk(risks))


def _moves_of(cause: _Cause, boxes: Iterable[Box], risks: Risks, places: Mapping[str, Place]) -> Iterator[Move]:
    for box in boxes:
        risk = risks.of_box(box)
        witness = risks.witness(box, risk) or risks.witness(box, Risk.ORDINARY)
        if witness is not None:
            yield Move(
                cause.direction,
                cause.entry.name,
                cause.role,
                cause.why,
                box_text(box),
                box,
                size_words(box),
                witness,
                risk,
                places.get(cause.entry.name),
                next((leg_box(leg) for leg in legs(cause.entry) if witness in leg), None),
            )


def _told(cause: _Cause, on_loopback: bool) -> Description:
    """What is told of the packets of one cause; of those on `lo` only if that is wanted.

    On `lo` requests and answers are both packets of path out, and so entries cross there: of what one more of them
    changes, packets from its port to another's are left out, if the other one covers them. What is not on `lo` is then
    told by itself, and first, because it is simple. Where thousands of entries have addresses of their own, the packets
    on `lo` have thousands of holes; to describe those takes minutes, and nobody would read it, so a box a leg is told.
    """
    away = cause.parts(_OFF_LOOPBACK)
    here = cause.parts(_ON_LOOPBACK) if on_loopback else []
    if not on_loopback or _are_large(away + here):
        return Description((*_boxes_of_some(away), *_branches(here)), is_complete=False)
    together = _union(away + here).describe(MOST_BOXES)
    if together.is_complete and not any(_is_off_loopback(box) for box in together.boxes):
        return together
    told = [_union(parts).describe(MOST_BOXES) for parts in (away, here)]
    return Description(told[0].boxes + told[1].boxes, all(description.is_complete for description in told))


def _boxes_of_some(parts: Sequence[PacketSpace]) -> Iterable[Box]:
    """Boxes of what may be too large to describe."""
    return _branches(parts) if _are_large(parts) else _union(parts).describe(MOST_BOXES).boxes


def _branches(parts: Sequence[PacketSpace]) -> Iterable[Box]:
    """A box of each part."""
    found = (_without_full(branch) for part in parts if (branch := part.branch()))
    return islice(found, MOST_BOXES)


def _is_off_loopback(box: Box) -> bool:
    return box.get(Field.INTERFACE) == _OFF_LOOPBACK[Field.INTERFACE]


def _are_large(parts: Sequence[PacketSpace]) -> bool:
    return any(part.is_larger_than(MOST_NODES) for part in parts)


def _union(parts: Sequence[PacketSpace]) -> PacketSpace:
    return reduce(or_, parts, PacketSpace.none())


def _without_full(branch: Box) -> Box:
    """A branch without the addresses that are all of its family: in words they are `any`."""
    every = ANY_ADDRESS.of(FAMILIES[branch[Field.FAMILY].intervals[0][0]]) if Field.FAMILY in branch else None
    ends = (Field.SOURCE, Field.DESTINATION)
    return {field: values for field, values in branch.items() if field not in ends or values != every}


_ON_LOOPBACK: Final = {Field.INTERFACE: IntervalSet.single(interface_value(LOOPBACK))}
_OFF_LOOPBACK: Final = {Field.INTERFACE: _ON_LOOPBACK[Field.INTERFACE].complement(INTERFACE_BITS)}


def _order(move: Move) -> tuple[object, ...]:
    is_on_loopback = move.box.get(Field.INTERFACE) == _ON_LOOPBACK[Field.INTERFACE]
    return (move.risk, move.direction is Direction.TRACKED, move.entry, move.role, is_on_loopback, move.packets)
