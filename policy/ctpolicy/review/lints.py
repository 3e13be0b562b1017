"""Entries that are valid and probably not what their author meant; each told with a packet that shows it.

    CT001  covered       another entry covers all that this one does
    CT002  nothing       track entries cover all of this bypass entry
    CT003  half-flow     a match without `both-ways` whose answers stay tracked
    CT004  too-broad     a whole protocol that has ports, or everything
    CT005  protected     protected traffic is bypassed, and acknowledged (information)
    CT006  one-interface forwarded packets of some interfaces, whose answers come in by another one

Every answer is exact: it is asked of the sets of packets that entries mean (meaning_space.py), not of their text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Final

from ctpolicy.language.policy import ANY_ADDRESS, ANY_INTERFACE, ANY_PORT, Entry, Match, Policy, Ports
from ctpolicy.language.protection import uncovered
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import entries_space, leg_box
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field
from ctpolicy.review.finding import Finding, Severity
from ctpolicy.review.spaces import Spaces

_PORTS: Final = (Field.SOURCE_PORT, Field.DESTINATION_PORT)


def lints(policy: Policy, spaces: Spaces | None = None) -> list[Finding]:
    """What all lints find in a policy, by entry and code; `spaces` are the policy's, if they are known already."""
    known = spaces or Spaces.of(policy)
    bypassed, tracked = known.bypassed, known.tracked
    found = [*_covered(policy.bypass), *_covered(policy.track)]
    for entry in policy.bypass:
        found += _nothing(entry, tracked)
        found += _half_flow(entry, bypassed)
        found += _too_broad(entry)
        found += _protected(entry, policy)
        found += _one_interface(entry, bypassed)
    return sorted(found, key=lambda finding: (str(finding.about), finding.code))


def _packets(entry: Entry) -> Iterator[Packet]:
    """A packet of each leg of an entry.

    Most questions about ten thousand entries are settled by a packet or two of each; their spaces take a hundred times
    as long to build. Of ports that may be any, few entries name the last.
    """
    for leg in legs(entry):
        ports = {end: IntervalSet.single(leg_box(leg)[end].intervals[-1][1]) for end in _PORTS}
        packet = PacketSpace.of_boxes([{**leg_box(leg), **ports}]).witness()
        if packet is not None:
            yield packet


def _covered(entries: Sequence[Entry]) -> Iterator[Finding]:
    near = _Neighbours(entries)
    by_name = {entry.name: entry for entry in entries}
    space_of = cache(lambda name: entries_space([by_name[name]]))
    for name, entry in by_name.items():
        # Of two that are the same, the second is told.
        held = (other for other in near.over(entry) if space_of(name) <= space_of(other))
        over = next((other for other in held if other < name or space_of(other) != space_of(name)), "")
        if over:
            message = f"covers nothing that `{over}` does not cover: leave one out"
            yield Finding("CT001", name, message, space_of(name).witness())


class _Neighbours:
    """Entries by the port that a leg names, so that a packet of one among thousands finds the few that hold it."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._legs: dict[tuple[object, ...], list[tuple[str, Leg]]] = defaultdict(list)
        for entry in entries:
            for leg in legs(entry):
                key = (_only(leg.destination_ports), _only(leg.source_ports))
                self._legs[leg.path, leg.family, leg.protocol, *key].append((entry.name, leg))

    def over(self, entry: Entry) -> list[str]:
        """The names of the few others that may cover an entry, sorted: those that hold a packet of each of its legs."""
        others: set[str] = set()
        for at, packet in enumerate(_packets(entry)):
            others = (others & self._holding(packet) if at else self._holding(packet)) - {entry.name}
            if not others:
                break
        return sorted(others)

    def _holding(self, packet: Packet) -> set[str]:
        ports = product((packet.destination_port, None), (packet.source_port, None))
        keys: list[tuple[object, ...]] = [
            (packet.path, packet.family, packet.protocol, *pair) for pair in dict.fromkeys(ports)
        ]
        keys.append((packet.path, packet.family, None, None, None))
        return {name for key in keys for name, leg in self._legs.get(key, ()) if packet in leg}


def _only(ports: IntervalSet) -> int | None:
    """The one port that these are; None if they are several."""
    first, last = ports.intervals[0]
    return first if len(ports) == 1 and first == last else None


def _nothing(entry: Entry, tracked: PacketSpace) -> Iterator[Finding]:
    if not tracked or any(packet not in tracked for packet in _packets(entry)):
        return
    space = entries_space([entry])
    if space <= tracked:
        yield Finding("CT002", entry.name, "does nothing: track entries cover all of it", space.witness())


def _half_flow(entry: Entry, bypassed: PacketSpace) -> Iterator[Finding]:
    if isinstance(entry, Match) and not entry.both_ways:
        answers = entries_space([replace(entry, both_ways=True)]) - bypassed
        if answers:
            message = "bypasses half of each flow, and the answers stay tracked: add `both-ways: true`"
            yield Finding("CT003", entry.name, message, answers.witness())


def _too_broad(entry: Entry) -> Iterator[Finding]:
    for leg in legs(entry):
        if _is_broad(leg):
            what = "every packet" if leg.protocol is None else "every packet of a protocol that has ports"
            message = f"bypasses {what} on path {leg.path.value}: name ports, addresses or interfaces"
            yield Finding("CT004", entry.name, message, PacketSpace.of_boxes([leg_box(leg)]).witness())
            return


def _is_broad(leg: Leg) -> bool:
    anyone = ANY_ADDRESS.of(leg.family)
    return (
        (leg.protocol is None or leg.protocol in PROTOCOLS_WITH_PORTS)
        and leg.source == leg.destination == anyone
        and leg.source_ports == leg.destination_ports == ANY_PORT
        and leg.interfaces.is_any
    )


def _protected(entry: Entry, policy: Policy) -> Iterator[Finding]:
    if what := uncovered(replace(entry, acknowledge=None), policy.protect):
        boxes: list[Box] = [
            {Field.PROTOCOL: IntervalSet.single(guarded.protocol), end: guarded.ports}
            for guarded in policy.protect
            for end in (Field.DESTINATION_PORT, Field.SOURCE_PORT)
        ]
        hit = entries_space([entry]) & PacketSpace.of_boxes(boxes)
        message = f"{what}, and acknowledged: {entry.acknowledge}"
        yield Finding("CT005", entry.name, message, hit.witness(), Severity.INFORMATION)


def _one_interface(entry: Entry, bypassed: PacketSpace) -> Iterator[Finding]:
    if not isinstance(entry, Ports | Match) or entry.interfaces.is_any or Path.FORWARD not in entry.paths:
        return
    answers = PacketSpace.of_boxes(leg_box(_answer(leg)) for leg in legs(entry) if leg.path is Path.FORWARD) - bypassed
    if answers:
        message = "names interfaces on path forward, where answers come in by another one and stay tracked"
        yield Finding("CT006", entry.name, message, answers.witness())


def _answer(leg: Leg) -> Leg:
    """What answers a forwarded leg, by whichever interface it comes."""
    return replace(
        leg,
        source=leg.destination,
        destination=leg.source,
        source_ports=leg.destination_ports,
        destination_ports=leg.source_ports,
        interfaces=ANY_INTERFACE,
    )
