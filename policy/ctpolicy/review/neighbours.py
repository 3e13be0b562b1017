"""Which of many entries can share packets with a few others, told quickly and on the safe side.

By path, family, protocol and ports alone, without addresses and interfaces: what is apart by these shares nothing, and
of 10,000 entries few are not. The rest is asked of sets of packets.
"""

from __future__ import annotations

from collections.abc import Iterable

from ctpolicy.language.policy import Entry
from ctpolicy.meaning import Leg, legs
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet

_Kind = tuple[Path, Family, int | None, IntervalSet, IntervalSet]


class Neighbourhood:
    """What some entries hold, as far as it is asked."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._kinds = {_kind(leg) for entry in entries for leg in legs(entry)}

    def may_hold_some_of(self, entry: Entry) -> bool:
        """Whether an entry may share packets with these; if not, it does not."""
        return any(_may_meet(_kind(leg), kind) for leg in legs(entry) for kind in self._kinds)


def _kind(leg: Leg) -> _Kind:
    return leg.path, leg.family, leg.protocol, leg.destination_ports, leg.source_ports


def _may_meet(one: _Kind, other: _Kind) -> bool:
    if one[:2] != other[:2] or (one[2] != other[2] and one[2] is not None and other[2] is not None):
        return False
    return all(bool(mine & theirs) for mine, theirs in zip(one[3:], other[3:], strict=True))
