"""Somebody else's rules that decide about packets before ours can, or whatever ours say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ctpolicy.netfilter.treatment import Treatment, Untracked
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace

ALL_UNTRACKED: Final = Treatment.of_space(PacketSpace.all())
"""What the widest bypass does. Of what is still not untracked beside others' rules, these keep it so."""

Decider = tuple[str, str]
"""The place of a rule, with whose it is if that is known, and the rule; empty where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """Packets that rules of somebody else's drop, give to a conntrack zone, or let by before ours are asked.

    Args:
        certainly: packets that they keep from staying untracked whatever they ask that ctpolicy does not model.
        possibly: packets that they may keep; all of `certainly` among them.
        decider: which rule does so with one packet.
        is_mended: whether an apply puts ours before them.
    """

    certainly: PacketSpace
    possibly: PacketSpace
    decider: Callable[[Packet], Decider]
    is_mended: bool = False

    @classmethod
    def of(cls, untracked: Untracked, decider: Callable[[Packet], Decider]) -> Shadow:
        """The shadow of rules beside which so much of ALL_UNTRACKED is left."""
        return cls(~untracked.possibly, ~untracked.certainly, decider)
