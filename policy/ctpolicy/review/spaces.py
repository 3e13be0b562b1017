"""What a policy means, as sets of packets that several stages of a review ask about: of large policies it takes seconds
to make them."""

from __future__ import annotations

from dataclasses import dataclass

from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.space import PacketSpace


@dataclass(frozen=True, slots=True)
class Spaces:
    """The packets of a policy.

    Args:
        bypassed: what its bypass entries hold.
        tracked: what its track entries hold.
        untracked: what it leaves untracked.
    """

    bypassed: PacketSpace
    tracked: PacketSpace
    untracked: PacketSpace

    @classmethod
    def of(cls, policy: Policy) -> Spaces:
        """The spaces of a policy."""
        bypassed, tracked = entries_space(policy.bypass), entries_space(policy.track)
        return cls(bypassed, tracked, bypassed - tracked)
