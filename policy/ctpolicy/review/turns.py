"""What became of each entry since the base: added, removed, changed, renamed; and which differ in what they cover.

Entries are compared as they were read: groups and presets are resolved, and ports and addresses are sets. So a group
that is written out, or a range in two halves, is no difference here, and needs no set of packets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from ctpolicy.language.policy import Entry, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.review.review import EntryTurn, Turn


def matter(entry: Entry) -> Entry:
    """What an entry says of packets: all but its name and what is written for people."""
    return replace(entry, name="", description="", acknowledge=None)


def differing(entries: Iterable[Entry], others: Iterable[Entry]) -> list[Entry]:
    """Those entries that none of the others is like, but for names and descriptions."""
    known = {matter(other) for other in others}
    return [entry for entry in entries if matter(entry) not in known]


def turns_between(base: Policy, head: Policy) -> tuple[EntryTurn, ...]:
    """What became of each entry that is not as it was, by role and name.

    Raises:
        TooLargeError: an entry covers more than can be compared; see packetspace.space.bounded.
    """
    found = [*_turns("bypass", base.bypass, head.bypass), *_turns("track", base.track, head.track)]
    return tuple(sorted(found, key=lambda turn: (turn.role, turn.name)))


def _turns(role: str, before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[EntryTurn]:
    was, now = ({entry.name: entry for entry in entries} for entries in (before, after))
    renamed = dict(_renamed(was, now))
    for name, entry in now.items():
        if name in renamed:
            yield EntryTurn(role, name, Turn.RENAMED, means_the_same=True, was=renamed[name])
        elif name not in was:
            yield EntryTurn(role, name, Turn.ADDED)
        elif entry != was[name]:
            yield EntryTurn(role, name, Turn.CHANGED, means_the_same=_mean_the_same(was[name], entry))
    gone = was.keys() - now.keys() - set(renamed.values())
    yield from (EntryTurn(role, name, Turn.REMOVED) for name in gone)


def _renamed(was: Mapping[str, Entry], now: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    """New names and the old ones of what is otherwise the same; of several that are, in order of their names."""
    old: dict[Entry, list[str]] = {}
    for name in sorted(was.keys() - now.keys(), reverse=True):
        old.setdefault(matter(was[name]), []).append(name)
    for name in sorted(now.keys() - was.keys()):
        if names := old.get(matter(now[name])):
            yield name, names.pop()


def _mean_the_same(one: Entry, other: Entry) -> bool:
    """Whether two entries cover the same packets."""
    mine, theirs = legs(one), legs(other)
    if set(mine) == set(theirs):
        return True
    # Of 10,000 entries that all say something else, a corner of one shows that far sooner than sets do.
    if any(_has_corner_outside(*pair) for pair in ((mine, theirs), (theirs, mine))):
        return False
    return entries_space([one]) == entries_space([other])


def _has_corner_outside(boxes: Sequence[Leg], others: Sequence[Leg]) -> bool:
    corners = (packet for leg in boxes for packet in _corners(leg))
    return any(not any(packet in other for other in others) for packet in corners)


def _corners(leg: Leg) -> Iterator[Packet]:
    """Up to two packets of a leg, with the least and the greatest values that it names."""
    address = IPv4Address if leg.family is Family.IPV4 else IPv6Address
    protocol = PROTOCOL_NUMBERS["udp"] if leg.protocol is None else leg.protocol
    has_ports = protocol in PROTOCOLS_WITH_PORTS
    interface = leg.interfaces.patterns[0].rstrip("*") if leg.interfaces.patterns else ""
    for at in (0, -1):
        source, destination = address(_end(leg.source, at)), address(_end(leg.destination, at))
        source_port = _end(leg.source_ports, at) if has_ports else None
        destination_port = _end(leg.destination_ports, at) if has_ports else None
        try:
            packet = Packet(leg.path, protocol, source, destination, source_port, destination_port, interface)
        except ValueError:
            continue  # no host can meet it
        if packet in leg:
            yield packet


def _end(values: IntervalSet, at: int) -> int:
    return values.intervals[at][at]
