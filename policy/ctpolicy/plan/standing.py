"""What others' rules leave untracked on a host already, and whose rules these are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.netfilter.foreign import ForeignBypass
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box

MOST_BOXES: Final = 4
"""Boxes that describe what one owner's rules in one chain bypass."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Packets that somebody else's rules leave untracked, whatever the policy says.

    Args:
        packets: in words, after the notation of packets.
        witness: one of them.
        place: where the rules stand, such as `table inet ovn_notrack, chain prerouting`.
        owner: whose they are; None if nobody known.
        is_certain: whether all of the packets are untracked, whatever rules say that ctpolicy does not model.
    """

    packets: str
    witness: Packet
    place: str
    owner: str | None
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Others:
    """What all others' rules bypass.

    Args:
        standing: packets, by whose rules bypass them.
        is_complete: whether these are all such packets.
    """

    standing: tuple[Standing, ...] = ()
    is_complete: bool = True


NO_OTHERS: Final = Others()
TOO_MANY: Final = Others(is_complete=False)
"""There may be any, and they are too many different packets to tell."""


def bypassed_by_others(bypasses: Iterable[ForeignBypass]) -> Others:
    """What these rules bypass, in at most MOST_BOXES boxes for each, the certain part first."""
    found: list[Standing] = []
    is_complete = True
    for bypass in bypasses:
        doubtful = bypass.untracked.possibly - bypass.untracked.certainly
        for space, is_certain in ((bypass.untracked.certainly, True), (doubtful, False)):
            described = space.describe(MOST_BOXES)
            is_complete = is_complete and described.is_complete
            found += _standing(bypass, space, described.boxes, is_certain)
    return Others(tuple(found), is_complete)


def _standing(bypass: ForeignBypass, space: PacketSpace, boxes: Iterable[Box], is_certain: bool) -> Iterator[Standing]:
    for box in boxes:
        witness = (PacketSpace.of_boxes([box]) & space).witness()
        if witness is not None:
            owner = bypass.owner.name if bypass.owner else None
            yield Standing(box_text(box), witness, bypass.place, owner, is_certain)


def others_lines(others: Others) -> Iterator[str]:
    """As people read it, a line and a witness for each box."""
    for one in others.standing:
        yield f"= {_line(one)}"
        yield f"    such as {one.witness}"
    if not others.is_complete:
        yield "... and more" if others.standing else _TOO_MANY_LINE


def bypasses(others: Others) -> tuple[str, ...]:
    """A line for each box, without a witness: what is compared to see whether others' rules have changed."""
    more = () if others.is_complete else (_TOO_MANY_LINE,)
    return (*map(_line, others.standing), *more)


_TOO_MANY_LINE: Final = "too many different packets to tell exactly"


def _line(one: Standing) -> str:
    owner = f" ({one.owner})" if one.owner else ""
    return f"{one.packets}  by {one.place}{owner}{'' if one.is_certain else '  (possibly)'}"


def others_json(others: Others) -> dict[str, Any]:
    """As one object, a part of schemas/plan-v1.schema.json."""
    return {"complete": others.is_complete, "bypasses": [_standing_json(one) for one in others.standing]}


def _standing_json(one: Standing) -> dict[str, Any]:
    return {
        "packets": one.packets,
        "witness": str(one.witness),
        "place": one.place,
        "owner": one.owner,
        "certain": one.is_certain,
    }
