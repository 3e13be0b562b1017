"""What a plan changes, as packets: what was untracked, and what is to be."""

from __future__ import annotations

from dataclasses import dataclass

from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.packetspace.space import PacketSpace


@dataclass(frozen=True, slots=True)
class Moved:
    """Two sides of a plan, as far as they may differ; elsewhere both are whatever others' rules do.

    Args:
        before: what is untracked.
        after: what is to be.
    """

    before: Untracked
    after: Untracked

    @property
    def newly(self) -> PacketSpace:
        """The packets that become untracked, or may."""
        return _gained(self.before, self.after)

    @property
    def certainly_newly(self) -> PacketSpace:
        """Those that do, whatever rules ask that ctpolicy does not model."""
        return self.after.certainly - self.before.possibly

    @property
    def again(self) -> PacketSpace:
        """The packets that are tracked again, or may be."""
        return _gained(self.after, self.before)

    def __bool__(self) -> bool:
        return self.before != self.after


def _gained(without: Untracked, having: Untracked) -> PacketSpace:
    """What both sides may leave untracked, by the same questions that nobody can answer, does not change."""
    return (having.possibly - without.possibly) | (having.certainly - without.certainly)
