"""How what is live of ours differs from what is to be there, told apart by what was done to it.

This compares objects, not packets: a rule that somebody wrote beside ours and that changes nothing is drift too. Each
backend knows its own objects; rules in order and elements without order are compared alike everywhere, and here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from itertools import islice
from typing import Final, TypeVar

from ctpolicy.packetspace.packet import Packet

MOST_LINES: Final = 5
"""Rules or elements of one difference that are told; of more, the number."""

BY_APPLY: Final = "`ctpolicy apply` mends it"
"""The remedy for all that was done to what is ours."""

Thing = TypeVar("Thing", bound=Hashable)


class DriftKind(Enum):
    """What was done; the value is the word for it."""

    GONE = "gone"
    """All of ours, or all of it in one family."""
    FLUSHED = "flushed"
    """A chain's rules or a set's elements, all of them."""
    REMOVED = "removed"
    """An object, some rules or some elements."""
    ADDED = "added"
    """An object, rules or elements that are not ours, within what is."""
    EDITED = "edited"
    """Rules or elements that are others now; a set that is of another type."""
    REORDERED = "re-ordered"
    """Rules that are all there, in another order; a jump that is not the first rule any more."""
    DOUBLED = "doubled"
    """A rule that is there once more than it should be."""
    HOOK = "hook"
    """A base chain that hangs elsewhere, or nowhere; the next three likewise."""
    PRIORITY = "priority"
    TYPE = "type"
    POLICY = "policy"
    SHADOWED = "shadowed"
    """Nothing of ours: somebody else's rules keep packets from staying untracked that ours bypass."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference.

    Args:
        kind: what was done.
        object: to what, as people name it: `chain prerouting`, `ipset ctpolicy-b4-nodes`; of rules that shadow ours,
            the place where they stand and whose they are.
        missing: lines that are not there and should be, the first few.
        found: lines that are there and should not be, or not so; likewise.
        more: how many lines there are besides.
        packets: those that others' rules keep from us, in words.
        witness: one of them.
        is_certain: whether it is so whatever rules ask that ctpolicy does not model.
        remedy: what to do about it.
    """

    kind: DriftKind
    object: str
    missing: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    more: int = 0
    packets: str = ""
    witness: Packet | None = None
    is_certain: bool = True
    remedy: str = BY_APPLY


def told(
    kind: DriftKind,
    name: str,
    text: Callable[[Thing], str],
    missing: Collection[Thing] = (),
    found: Collection[Thing] = (),
    remedy: str = BY_APPLY,
) -> Drift:
    """A difference of which no more is put into words than is told."""
    more = max(len(missing) - MOST_LINES, 0) + max(len(found) - MOST_LINES, 0)
    return Drift(kind, name, _first(text, missing), _first(text, found), more, remedy=remedy)


def _first(text: Callable[[Thing], str], things: Iterable[Thing]) -> tuple[str, ...]:
    return tuple(text(thing) for thing in islice(things, MOST_LINES))


def element_drifts(
    name: str, text: Callable[[Thing], str], live: Collection[Thing], desired: Collection[Thing]
) -> Iterator[Drift]:
    """What was done to the elements of a set, or to whatever else has no order."""
    there, wanted = set(live), set(desired)
    missing = [element for element in desired if element not in there]
    found = [element for element in live if element not in wanted]
    if missing and not there:
        yield told(DriftKind.FLUSHED, name, text, missing)
    elif missing and found:
        yield told(DriftKind.EDITED, name, text, missing, found)
    elif missing:
        yield told(DriftKind.REMOVED, name, text, missing)
    elif found:
        yield told(DriftKind.ADDED, name, text, found=found)


def rule_drifts(
    name: str, text: Callable[[Thing], str], live: Sequence[Thing], desired: Sequence[Thing]
) -> Iterator[Drift]:
    """What was done to the rules of a chain, in which order matters; nothing only if they are the same.

    The longest runs that both have in common are taken as left alone. A rule that is in both, but in none of these, was
    moved; elsewhere, where rules went and others stand in their place, they were edited.
    """
    if desired and not live:
        yield told(DriftKind.FLUSHED, name, text, desired)
        return
    hunks = [_Hunk(old, new) for old, new in _differing(live, desired)]
    moved = _taken_as_moved(hunks, live, desired)
    if moved:
        lines = [f"rule {old + 1}, to be rule {new + 1}: {text(desired[new])}" for old, new in moved]
        yield told(DriftKind.REORDERED, name, str, found=lines)
    edited = [hunk for hunk in hunks if hunk.live and hunk.desired]
    missing = [desired[at] for hunk in edited for at in hunk.desired]
    found = [live[at] for hunk in edited for at in hunk.live]
    if edited:
        yield told(DriftKind.EDITED, name, text, missing, found)
    if gone := [desired[at] for hunk in hunks if not hunk.live for at in hunk.desired]:
        yield told(DriftKind.REMOVED, name, text, gone)
    more = [live[at] for hunk in hunks if not hunk.desired for at in hunk.live]
    known = set(desired)
    if twice := [rule for rule in more if rule in known]:
        yield told(DriftKind.DOUBLED, name, text, found=twice)
    if strange := [rule for rule in more if rule not in known]:
        yield told(DriftKind.ADDED, name, text, found=strange)


@dataclass(slots=True)
class _Hunk:
    """A place where two chains differ: rules of the live one, and of the desired one, by their places from 0."""

    live: list[int]
    desired: list[int]


def _differing(live: Sequence[Thing], desired: Sequence[Thing]) -> Iterator[tuple[list[int], list[int]]]:
    matcher = SequenceMatcher(None, live, desired, autojunk=False)
    for operation, live_first, live_end, first, end in matcher.get_opcodes():
        if operation != "equal":
            yield list(range(live_first, live_end)), list(range(first, end))


def _taken_as_moved(hunks: list[_Hunk], live: Sequence[Thing], desired: Sequence[Thing]) -> list[tuple[int, int]]:
    """Take out of the hunks what only moved: pairs of its place in the live and in the desired chain."""
    elsewhere: dict[Thing, list[int]] = {}
    for hunk in hunks:
        for at in hunk.live:
            elsewhere.setdefault(live[at], []).append(at)
    moved = [(places.pop(0), at) for hunk in hunks for at in hunk.desired if (places := elsewhere.get(desired[at]))]
    from_there, to_there = {old for old, _ in moved}, {new for _, new in moved}
    for hunk in hunks:
        hunk.live = [at for at in hunk.live if at not in from_there]
        hunk.desired = [at for at in hunk.desired if at not in to_there]
    return moved
