"""The difference between two meanings, in packets: what becomes untracked, and what is tracked again.

A side of the comparison is a packet space, or two where rules ask what ctpolicy does not model: what is certainly
untracked, and what possibly is. A change is certain only if it is one whatever those rules say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.netfilter.backend import Names
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace

MOST_BOXES: Final = 8
"""Boxes that describe one direction of a change; of more, that there are more."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Packets that change alike.

    Args:
        packets: in words, after the notation of packets.
        witness: one of them.
        entries: what leaves the witness untracked, on the side where it is.
        is_certain: whether all of them change, whatever rules say that ctpolicy does not model.
    """

    packets: str
    witness: Packet
    entries: tuple[str, ...]
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Traffic:
    """What changes from one side to the other.

    Args:
        untracked: packets that become untracked.
        tracked: packets that are tracked again.
        unknown: packets, in words, of which both sides ask what ctpolicy does not model: whether they change cannot
            be told.
        is_complete: whether all of the packets that change are among these.
        is_too_large: whether the comparison was given up, because too many entries with addresses of their own cross.
    """

    untracked: tuple[Shift, ...] = ()
    tracked: tuple[Shift, ...] = ()
    unknown: tuple[str, ...] = ()
    is_complete: bool = True
    is_too_large: bool = False

    def __bool__(self) -> bool:
        return bool(self.untracked or self.tracked)


NO_CHANGE: Final = Traffic()
TOO_LARGE: Final = Traffic(is_complete=False, is_too_large=True)


def traffic_between(before: Untracked, after: Untracked, names_before: Names, names_after: Names) -> Traffic:
    """What changes from one side to the other; nothing if and only if both mean the same packets."""
    untracked, all_untracked = _shifts(before, after, names_after)
    tracked, all_tracked = _shifts(after, before, names_before)
    unknown = (before.possibly - before.certainly) & (after.possibly - after.certainly)
    described = tuple(map(box_text, unknown.describe(MOST_BOXES).boxes))
    return Traffic(untracked, tracked, described, all_untracked and all_tracked)


def _shifts(without: Untracked, having: Untracked, names: Names) -> tuple[tuple[Shift, ...], bool]:
    """What one side leaves untracked and the other does not: the certain part first, and whether that is all."""
    certain = having.certainly - without.possibly
    if having.is_exact and without.is_exact:
        spaces = [(certain, True)]
    else:
        possible = (having.possibly - without.possibly) | (having.certainly - without.certainly)
        spaces = [(certain, True), (possible - certain, False)]
    found: list[Shift] = []
    is_complete = True
    for space, is_certain in spaces:
        described = space.describe(MOST_BOXES)
        is_complete = is_complete and described.is_complete
        for box in described.boxes:
            witness = PacketSpace.of_boxes([box]).witness()  # all of the box is in the space
            if witness is not None:
                found.append(Shift(box_text(box), witness, names(witness), is_certain))
    return tuple(found), is_complete


def traffic_lines(traffic: Traffic) -> Iterator[str]:
    """The change as people read it, a line and a witness for each box."""
    if traffic.is_too_large:
        yield "too many different packets to tell exactly: see the entries and the rules"
        return
    for title, sign, shifts in (
        ("becomes untracked", "+", traffic.untracked),
        ("is tracked again", "-", traffic.tracked),
    ):
        if shifts:
            yield title
        for shift in shifts:
            yield f"  {sign} {shift.packets}{_by(shift)}{'' if shift.is_certain else '  (possibly)'}"
            yield f"      such as {shift.witness}"
    if not traffic.is_complete:
        yield "... and more"
    if traffic.unknown:
        yield "cannot be told, because rules on both sides ask what ctpolicy does not model"
        yield from (f"    {packets}" for packets in traffic.unknown)


def _by(shift: Shift) -> str:
    return f"  by {', '.join(shift.entries)}" if shift.entries else ""


def traffic_json(traffic: Traffic) -> dict[str, Any]:
    """The change as one object, by schemas/diff-v1.schema.json."""
    return {"apiVersion": "ctpolicy.diff/v1", "equal": not traffic} | shifts_json(traffic)


def shifts_json(traffic: Traffic) -> dict[str, Any]:
    """The same, as a part of another object."""
    return {
        "complete": traffic.is_complete,
        "untracked": [_shift_json(shift) for shift in traffic.untracked],
        "tracked": [_shift_json(shift) for shift in traffic.tracked],
        "unknown": list(traffic.unknown),
    }


def _shift_json(shift: Shift) -> dict[str, Any]:
    return {
        "packets": shift.packets,
        "witness": str(shift.witness),
        "by": list(shift.entries),
        "certain": shift.is_certain,
    }
