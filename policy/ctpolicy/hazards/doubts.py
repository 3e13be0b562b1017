"""What would have to be so, of questions that nobody can answer, for packets to come to a place.

A step that asks what is not modelled holds for some packets and not for others. The walk takes both branches and notes
on each what was taken for granted: a literal, the step and whether it was taken to hold. A doubt is a set of literals,
all of which must be so; the empty one is certainty. Where both branches of a step come together again, what is on both
is as certain as it was before. Doubts serve two ends: they tell certain from possible, and, as the same question about
the same packet mostly has the same answer before and after, they tell which fates before and after can go together.

A doubt grows with every open step on a way, and flows multiply with doubts. Both are bounded: what is beyond becomes
VAGUE, which says only that it is not certain, and goes together with everything. So nothing is lost but precision.
"""

from __future__ import annotations

from typing import Final

from ctpolicy.hazards.rules import About, Step
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.sets import NOTHING, difference, intersection, union
from ctpolicy.packetspace.universe import FOREST

Literal = tuple[Step | None, bool]
"""A step, and whether it was taken to hold; no step for what is not told any more."""

Doubt = frozenset[Literal]
"""What must be so."""

Flows = dict[Doubt, Node]
"""Packets, by what must be so for them to be there; a packet may be in several."""

SURE: Final[Doubt] = frozenset()
VAGUE: Final[Doubt] = frozenset({(None, True)})

MOST_LITERALS: Final = 12
MOST_FLOWS: Final = 8


def joined(one: Doubt, other: Doubt) -> Doubt:
    """Both. What was taken both ways, at two visits, is not told any more."""
    if not one or not other:
        return one or other
    both = one | other
    twice = {step for step, held in both if step is not None and (step, not held) in both}
    if twice:
        both = frozenset(literal for literal in both if literal[0] not in twice) | VAGUE
    return both if len(both) <= MOST_LITERALS else VAGUE


def taken(doubt: Doubt, step: Step, *, held: bool) -> Doubt:
    """A doubt, and a step that is taken to hold or not."""
    return joined(doubt, frozenset({(step, held)}))


def exclude_each_other(one: Doubt, other: Doubt, *, with_marks: bool) -> bool:
    """Whether the same packet cannot have both, in two situations.

    Args:
        one: in the one situation.
        other: in the other one.
        with_marks: whether packets have the same marks in both.
    """
    stable = {About.PACKET, About.MARK} if with_marks else {About.PACKET}
    return any(step is not None and (step, not held) in other and _is_stable(step, stable) for step, held in one)


def is_usual(doubt: Doubt) -> bool:
    """Whether packets are there but for odd ones, or by their route: steps that ask about the packet, or its mark, do
    not hold (`meta mark 0x8000 drop` is for few), and those that ask for nothing but what the hook does not tell (an
    outgoing interface) hold or not. What is certain for all of these is called certain."""
    return all(
        step is not None and _is_stable(step, {About.PACKET, About.MARK}) and (not held or not step.open)
        for step, held in doubt
    )


def _is_stable(step: Step, kinds: set[About]) -> bool:
    """Whether a step's doubt is about these alone. Without an open question it is about what a hook does not tell."""
    return step.tracking.is_always and all(question.about in kinds for question in step.open)


def add(flows: Flows, doubt: Doubt, space: Node) -> None:
    """Put packets to others of the same doubt."""
    if space is not NOTHING:
        found = flows.get(doubt)
        flows[doubt] = space if found is None else union(FOREST, found, space)


def merged(flows: Flows) -> Flows:
    """The same packets, with what is so either way left out; few flows, however many they were."""
    if len(flows) < 2:
        return flows
    result = dict(flows)
    left = list(result)
    while left:
        doubt = left.pop()
        for literal in doubt:
            if doubt in result and literal[0] is not None:
                left += _come_together(result, doubt, literal)
    if len(result) <= MOST_FLOWS:
        return result
    few: Flows = {}
    for doubt, space in result.items():
        add(few, VAGUE if doubt else SURE, space)
    return few


def _come_together(flows: Flows, doubt: Doubt, literal: Literal) -> list[Doubt]:
    """Take the packets that have come both ways of one step to those that do not ask it; the doubt that grew."""
    step, held = literal
    without = doubt - {literal}
    partner = without | {(step, not held)}
    if partner not in flows:
        return []
    common = intersection(FOREST, flows[doubt], flows[partner])
    if common is NOTHING:
        return []
    for one in (doubt, partner):
        rest = difference(FOREST, flows.pop(one), common)
        add(flows, one, rest)
    add(flows, without, common)
    return [without]
