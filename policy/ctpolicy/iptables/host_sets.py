"""Who is in an ipset, in the form of hazards/rules.py. The kernel's rules are told in conditions.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.rules import About, Asked, Open, Values, Within
from ctpolicy.iptables.conditions import BITMAP_PORTS, SET_PORTS, WITHOUT_TRANSPORT, decided_by_it
from ctpolicy.iptables.host_questions import ADDRESS, INTERFACE, NOBODY, PORT, Known, Question
from ctpolicy.iptables.render_sets import dimensions
from ctpolicy.iptables.ruleset import End, InSet, IpSet, Joined
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_ICMP: Final = frozenset({PROTOCOL_NUMBERS["icmp"], PROTOCOL_NUMBERS["icmpv6"]})


@dataclass(frozen=True, slots=True)
class _Members:
    """The packets in a set; not sure, if some of these are in it and some are not."""

    boxes: tuple[Values, ...]
    are_sure: bool = True


def in_set(asked: InSet, known: Known, words: str) -> Question:
    """That a packet is in a set, or is not."""
    one = known.sets.get(asked.name)
    if one is None or one.unmodelled:
        return Question(open=(Open(f"{words} (whose elements are not known)"),))
    members = _members(one, asked.ends, known.family)
    if members.are_sure:
        return Question((Within(members.boxes, asked.negated),))
    doubt = (Open(words, About.PACKET),)
    return Question(open=doubt) if asked.negated else Question((Within(members.boxes),), open=doubt)


def _members(one: IpSet, ends: Sequence[End], family: Family) -> _Members:
    kinds = dimensions(one.type)
    if len(ends) < len(kinds) or one.family not in {None, family}:
        return _Members(NOBODY.boxes)
    if len(kinds) > 1:
        return _joined_members(one, ends, kinds, family)
    if kinds == ("port",):
        protocols = IntervalSet.of((number, number) for number in BITMAP_PORTS)
        return _Members(({Asked.PROTOCOL: protocols, PORT[ends[0]]: one.values},))
    return _Members(({ADDRESS[ends[0]]: one.values},))


def _joined_members(one: IpSet, ends: Sequence[End], kinds: Sequence[str], family: Family) -> _Members:
    decided = decided_by_it(one) if "iface" in kinds else {}
    boxes: list[Values] = []
    are_sure = True
    for element in one.elements:
        box = _box(element, ends, kinds, decided, family)
        if box is not None:
            boxes.append(box)
            are_sure = are_sure and box.get(Asked.PROTOCOL, IntervalSet()).intervals not in _ICMP_ALONE
    return _Members(tuple(boxes), are_sure)


_ICMP_ALONE: Final = frozenset(((number, number),) for number in _ICMP)
"""Of these an element has one type and one code, of which not both are fields."""


def _box(
    element: Joined,
    ends: Sequence[End],
    kinds: Sequence[str],
    decided: dict[Interval, IntervalSet],
    family: Family,
) -> Values | None:
    """The packets of one element; None if there are none."""
    box: dict[Asked, IntervalSet] = {}
    for part, protocol, kind, end in zip(element.parts, element.protocols, kinds, ends, strict=False):
        values = IntervalSet((part,))
        if kind == "port":
            if protocol is None or protocol == WITHOUT_TRANSPORT[family]:
                return None
            box[Asked.PROTOCOL] = IntervalSet.single(protocol)
            if protocol in SET_PORTS:
                box[PORT[end]] = values
            elif protocol not in _ICMP and 0 not in values:
                return None
        elif kind == "iface":
            box[INTERFACE[end]] = values
        else:
            asked = ADDRESS[end]
            meant = decided.get(part, values) if kind == "net" else values
            box[asked] = box[asked] & meant if asked in box else meant
    return box
