"""What waivers let pass.

A waiver speaks of pairs of an entry and a packet: that this entry does that to this packet is not held against it. With
`entries` it speaks of these alone, with `packets` of these alone, without either of all. So where two entries bypass a
packet that must not be, and one of them is waived, the other still breaks the invariant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import or_

from ctpolicy.language.policy import Entry
from ctpolicy.language.rules import Waiver
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.neighbours import Neighbourhood


@dataclass(frozen=True, slots=True)
class Breach:
    """Packets that break an invariant, and the entries to which that is due.

    Args:
        space: the packets; each is in an entry of `entries`, if there are any.
        entries: those that do it, each to those of the packets that it holds; none if it is due to no entry.
    """

    space: PacketSpace
    entries: tuple[Entry, ...] = ()

    def waived_by(self, waiver: Waiver) -> PacketSpace:
        """The packets of which a waiver speaks, as far as it speaks of the entries."""
        space = self.space & _packets(waiver)
        if waiver.entries is None:
            return space
        return space & entries_space(entry for entry in self.entries if entry.name in waiver.entries)

    def but_for(self, waivers: Sequence[Waiver]) -> list[Breach]:
        """What is left if these waivers are in force: the entries that none of them names together, others alone."""
        named = {name for waiver in waivers for name in waiver.entries or ()}
        space = self.space - _union(waiver for waiver in waivers if waiver.entries is None)
        if not self.entries:
            return _there([Breach(space)])
        apart = [entry for entry in self.entries if entry.name in named]
        if not apart:
            return _there([Breach(space, self.entries)])
        others = tuple(entry for entry in self.entries if entry.name not in named)
        left = [Breach(_not_only_of(apart, space, others), others)]
        for entry in apart:
            own = _union(waiver for waiver in waivers if waiver.entries and entry.name in waiver.entries)
            left.append(Breach(space & entries_space([entry]) - own, (entry,)))
        return _there(left)


def _not_only_of(apart: Sequence[Entry], space: PacketSpace, others: Iterable[Entry]) -> PacketSpace:
    """The packets of a space that others hold too. Each is in one entry or another, so only few of them are asked."""
    own = entries_space(apart)
    near = Neighbourhood(apart)
    shared = entries_space(entry for entry in others if near.may_hold_some_of(entry))
    return (space - own) | (space & own & shared)


def _there(breaches: Iterable[Breach]) -> list[Breach]:
    return [breach for breach in breaches if breach.space]


def _packets(waiver: Waiver) -> PacketSpace:
    return PacketSpace.all() if waiver.packets is None else entries_space(waiver.packets)


def _union(waivers: Iterable[Waiver]) -> PacketSpace:
    return reduce(or_, map(_packets, waivers), PacketSpace.none())


def in_force(waivers: Iterable[Waiver], today: date) -> tuple[list[Waiver], list[Waiver]]:
    """The waivers that still hold on a day, and those that have expired."""
    several = list(waivers)
    return [one for one in several if today <= one.expires], [one for one in several if today > one.expires]


def is_needed(waiver: Waiver, breaches: Iterable[Breach]) -> bool:
    """Whether a waiver speaks of anything that breaks its invariant."""
    return any(breach.waived_by(waiver) for breach in breaches)
