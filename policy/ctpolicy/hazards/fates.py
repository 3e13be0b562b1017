"""What may become of packets on their way through a host, and by which rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from ctpolicy.hazards.doubts import SURE, Doubt
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Step
from ctpolicy.hazards.situations import Situation
from ctpolicy.packetspace.diagram import balanced
from ctpolicy.packetspace.sets import NOTHING, union
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FOREST


class Outcome(Enum):
    """What becomes of a packet."""

    ACCEPTED = "accepted"
    """It has passed every hook of its route."""
    DROPPED = "dropped"
    REJECTED = "rejected"
    TRANSLATED = "translated"
    """A NAT rule changes it and all that follow in its flow. What becomes of it then is another packet's way."""


LOST = frozenset({Outcome.DROPPED, Outcome.REJECTED})


@dataclass(frozen=True, slots=True)
class Fate:
    """What may become of some packets.

    Args:
        space: the packets.
        outcome: what becomes of them.
        step: the one that decided; None for what has passed every hook.
        doubt: what must be so for that; nothing, if it is certain.
        base: the policy step of the base chain in which it was decided, by which that is known.
    """

    space: PacketSpace
    outcome: Outcome
    step: Step | None
    doubt: Doubt = SURE
    base: Step | None = None


@dataclass(frozen=True, slots=True)
class Passing:
    """Packets that a base chain accepts.

    Args:
        space: the packets.
        base: the chain's policy step, by which it is known.
        step: the one that accepted; the same as `base` for the policy.
        doubt: as of a Fate.
    """

    space: PacketSpace
    base: Step
    step: Step
    doubt: Doubt = SURE


@dataclass(frozen=True, slots=True)
class Touch:
    """Packets that a step with a Use has met, on whatever way. Translations are fates."""

    space: PacketSpace
    step: Step
    doubt: Doubt = SURE


@dataclass(frozen=True, slots=True)
class Walked:
    """All that may become of the packets of a space, in one situation.

    Args:
        route: theirs.
        situation: what conntrack made of them.
        start: the packets.
        fates: every packet of the start is in at least one; in several, if it is not certain what becomes of it.
        passings: what each base chain accepted.
        touches: what steps were met that use conntrack.
    """

    route: Route
    situation: Situation
    start: PacketSpace
    fates: tuple[Fate, ...]
    passings: tuple[Passing, ...]
    touches: tuple[Touch, ...]

    def possibly(self, outcomes: Iterable[Outcome]) -> PacketSpace:
        """The packets of which one of these may become."""
        wanted = set(outcomes)
        return together(fate.space for fate in self.fates if fate.outcome in wanted)

    def certainly(self, outcomes: Iterable[Outcome]) -> PacketSpace:
        """The packets of which one of these becomes whatever the open questions' answers."""
        return self.start - self.possibly(set(Outcome) - set(outcomes))

    def of(self, outcomes: Iterable[Outcome]) -> Iterator[Fate]:
        """The fates with one of these outcomes."""
        wanted = set(outcomes)
        return (fate for fate in self.fates if fate.outcome in wanted)


def together(spaces: Iterable[PacketSpace]) -> PacketSpace:
    """The packets of any of these."""
    nodes = [space.root for space in spaces]
    return PacketSpace(balanced(lambda one, other: union(FOREST, one, other), nodes, NOTHING))
