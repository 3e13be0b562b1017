"""What rules do to every packet before conntrack sees it, and what that leaves untracked."""

from __future__ import annotations

from dataclasses import dataclass

from ctpolicy.netfilter import outcomes
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FOREST


@dataclass(frozen=True, slots=True)
class Untracked:
    """What rules leave untracked.

    Args:
        certainly: packets that they leave untracked whatever they ask that ctpolicy does not model.
        possibly: packets that they may leave untracked; all of `certainly` among them.
    """

    certainly: PacketSpace
    possibly: PacketSpace

    @property
    def is_exact(self) -> bool:
        """Whether the rules ask nothing that ctpolicy does not model and that would make a difference."""
        return self.certainly == self.possibly


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that may become of one packet: a set of outcomes as an integer (outcomes.py)."""

    value: int

    @property
    def is_certainly_untracked(self) -> bool:
        """Whether it stays untracked, whatever rules say that ctpolicy does not model."""
        return self.value == outcomes.UNTRACKED

    @property
    def is_never_tracked(self) -> bool:
        """Whether it does not come to conntrack, whatever rules say that ctpolicy does not model: some may drop it."""
        return bool(self.value) and not self.value & ~outcomes.NEVER_TRACKED

    @property
    def is_possibly_untracked(self) -> bool:
        """Whether it may stay untracked."""
        return bool(self.value & outcomes.UNTRACKED)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What may become of every packet, as a diagram of outcomes (outcomes.py).

    Base chains neither know nor mind what others at the same hook do, and a drop is one whoever says it (so is a
    conntrack zone of nftables, which undoes every notrack). Only of a notrack and a conntrack template of iptables the
    first counts; which that is, is known within one treatment, and of two on one host either may come first.
    """

    root: Node

    @classmethod
    def none(cls) -> Treatment:
        """Where there are no rules."""
        return cls(outcomes.NEXT)

    @classmethod
    def of_space(cls, space: PacketSpace) -> Treatment:
        """That of rules which leave exactly these packets untracked, and do nothing else."""
        return cls(FOREST.map_leaves(space.root, lambda held: outcomes.UNTRACKED if held else outcomes.TRACKED))

    def __and__(self, other: Treatment) -> Treatment:
        """Both, on one host."""
        one_first, other_first = ([self.root, other.root], [other.root, self.root])
        return Treatment(outcomes.any_of([outcomes.sequence(one_first), outcomes.sequence(other_first)]))

    @property
    def untracked(self) -> Untracked:
        """What is untracked in the end."""
        certainly = FOREST.map_leaves(self.root, lambda found: int(Outcome(found).is_certainly_untracked))
        possibly = FOREST.map_leaves(self.root, lambda found: int(Outcome(found).is_possibly_untracked))
        return Untracked(PacketSpace.of_diagram(certainly), PacketSpace.of_diagram(possibly))

    @property
    def never_tracked(self) -> PacketSpace:
        """What stays untracked or is dropped, whatever rules ask that ctpolicy does not model."""
        return PacketSpace.of_diagram(FOREST.map_leaves(self.root, lambda found: int(Outcome(found).is_never_tracked)))

    @property
    def tracked(self) -> PacketSpace:
        """What goes on to conntrack, whatever rules ask that ctpolicy does not model."""
        return PacketSpace.of_diagram(FOREST.map_leaves(self.root, lambda found: int(found == outcomes.TRACKED)))
