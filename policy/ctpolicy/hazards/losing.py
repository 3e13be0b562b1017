"""What was accepted and is dropped: two walks of the same packets, laid side by side.

Two fates go together unless what one takes for granted is what the other denies (doubts.py). A packet is possibly lost
if a fate in which it was accepted goes together with one in which it is dropped. It is certainly lost if it was
accepted, as usual packets are, and no fate in which it was accepted goes together with one in which it still is.

What this host sends and masquerades counts as accepted: it mostly has the address already that it would get.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.doubts import exclude_each_other, is_usual
from ctpolicy.hazards.fates import LOST, Fate, Outcome, Walked, together
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Nat, Rule, Service, Step, Translation, Use
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FOREST

_OWN: Final = frozenset({Route.OUT, Route.LOOPBACK})
_MARKING: Final = frozenset({Service.MARK, Service.RESTORED_MARK})


@dataclass(frozen=True, slots=True)
class Loss:
    """Packets that one step may drop now.

    Args:
        step: the step.
        possibly: the packets.
        certainly: those of them that are lost, whatever step of several drops them.
        before: the rule by which the same base chain accepted them, if it is one.
    """

    step: Step
    possibly: PacketSpace
    certainly: PacketSpace
    before: Rule | None


def losses(before: Walked, after: Walked) -> Iterator[Loss]:
    """What is lost of packets that were accepted.

    Args:
        before: their way while they were tracked.
        after: the way of the same packets now.
    """
    with_marks = _have_same_marks(before, after)
    accepted = list(accepted_fates(before))
    FOREST.spend(len(accepted) * len(after.fates))  # pairs, which cost no diagrams where fates exclude each other
    kept = together(
        one.space & other.space
        for one in accepted
        for other in after.of(set(Outcome) - LOST)
        if not exclude_each_other(one.doubt, other.doubt, with_marks=with_marks)
    )
    certain = usually_accepted(before) - kept
    for fate in after.of(LOST):
        possibly = together(
            one.space & fate.space
            for one in accepted
            if not exclude_each_other(one.doubt, fate.doubt, with_marks=with_marks)
        )
        if possibly and fate.step is not None:
            yield Loss(fate.step, possibly, possibly & certain, _accepting(before, fate, possibly))


def accepted_fates(walked: Walked) -> Iterator[Fate]:
    """The fates in which packets pass as they are."""
    for fate in walked.fates:
        if fate.outcome is Outcome.ACCEPTED or (walked.route in _OWN and _is_masqueraded(fate)):
            yield fate


def possibly_accepted(walked: Walked) -> PacketSpace:
    """The packets that may pass as they are."""
    return together(fate.space for fate in accepted_fates(walked))


def usually_accepted(walked: Walked) -> PacketSpace:
    """The packets that pass as they are, but for odd ones.

    What is masqueraded on its way through `lo` is yet to come in, and nobody has looked whether it may.
    """
    is_seen_off = walked.route is not Route.LOOPBACK
    return together(
        fate.space
        for fate in accepted_fates(walked)
        if is_usual(fate.doubt) and (is_seen_off or fate.outcome is Outcome.ACCEPTED)
    )


def _is_masqueraded(fate: Fate) -> bool:
    action = fate.step.action if fate.step else None
    return isinstance(action, Translation) and action.nat is Nat.MASQUERADE


def _accepting(before: Walked, fate: Fate, space: PacketSpace) -> Rule | None:
    """The rule by which the base chain that drops packets now accepted them before, if it was one."""
    rules = {one.step.rule for one in before.passings if one.base is fate.base and one.space & space}
    return rules.pop() if len(rules) == 1 else None


def _have_same_marks(one: Walked, other: Walked) -> bool:
    """Whether the same packets meet the same steps that set packet marks."""
    mine, theirs = _marking(one), _marking(other)
    return mine.keys() == theirs.keys() and all(together(mine[step]) == together(theirs[step]) for step in mine)


def _marking(walked: Walked) -> dict[Step, list[PacketSpace]]:
    found: dict[Step, list[PacketSpace]] = {}
    for touch in walked.touches:
        if isinstance(touch.step.action, Use) and touch.step.action.service in _MARKING:
            found.setdefault(touch.step, []).append(touch.space)
    return found
