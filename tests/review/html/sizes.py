"""Reviews of two sizes: a day's work, with the changes that reviewers most need to see through, and a whole fleet's."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set
from ctpolicy.review.review import Change, Covered, Direction, EntrySummary, EntryTurn, Move, Review, Risk, Turn
from review.reviews import FILES, everything

UDP: Final = IntervalSet.single(17)
TCP: Final = IntervalSet.single(6)


def network(text: str) -> IntervalSet:
    """The addresses of a prefix."""
    parsed = ip_network(text)
    return IntervalSet(((int(parsed[0]), int(parsed[-1])),))


def ports(first: int, last: int) -> IntervalSet:
    """A range of ports."""
    return IntervalSet(((first, last),))


def difference(box: Box, before: Box) -> Box:
    """What a box has more than another, where that is one box."""
    (more,) = (PacketSpace.of_boxes([box]) - PacketSpace.of_boxes([before])).describe(2).boxes
    return more


def move(
    direction: Direction,
    entry: str,
    why: str,
    box: Box,
    size: str,
    risk: Risk = Risk.ORDINARY,
    around: Box | None = None,
) -> Move:
    """A move of these packets."""
    witness = PacketSpace.of_boxes([box]).witness()
    assert witness is not None
    place = Place(FILES[0], 12, 11, len(entry), f"  - name: {entry}")
    return Move(direction, entry, "bypass", why, box_text(box), box, size, witness, risk, place, around)


IN_V4: Final[Box] = {Field.PATH: path_set(Path.IN), Field.FAMILY: family_set(Family.IPV4), Field.PROTOCOL: UDP}
PEERS: Final[Box] = {**IN_V4, Field.SOURCE: network("10.1.7.0/24"), Field.DESTINATION_PORT: IntervalSet.single(4789)}
WIDENED_PREFIX: Final = difference({**PEERS, Field.SOURCE: network("10.1.0.0/16")}, PEERS)
WIDENED_PORTS: Final = difference({**PEERS, Field.DESTINATION_PORT: ports(4780, 4800)}, PEERS)
TWO_PORTS: Final[Box] = {**PEERS, Field.DESTINATION_PORT: ports(4789, 4790)}
OFF_BY_ONE: Final = difference(TWO_PORTS, PEERS)
ALL_OF_TCP: Final[Box] = {Field.PATH: path_set(Path.IN, Path.OUT), Field.PROTOCOL: TCP}
SIX: Final[Box] = {
    Field.PATH: path_set(Path.FORWARD),
    Field.FAMILY: family_set(Family.IPV6),
    Field.PROTOCOL: IntervalSet.single(47),
    Field.SOURCE: network("fd00:7::/64"),
    Field.DESTINATION: network("fd00:8::/56"),
}
SCATTERED: Final[Box] = {
    **IN_V4,
    Field.SOURCE: IntervalSet.of((ip << 8, (ip << 8) + 255) for ip in range(10 << 16, (10 << 16) + 4000, 7)),
    Field.DESTINATION_PORT: IntervalSet.of([(53, 53), (123, 123), (20000, 20999), (33434, 33534)]),
}

MOVES: Final = (
    move(Direction.UNTRACKED, "everything-tcp", "the entry is new", ALL_OF_TCP, "all of tcp", Risk.PROTECTED),
    move(Direction.TRACKED, "gre-tunnels", "the entry is gone", SIX, "2^64 addresses to 2^72", Risk.TRANSLATED),
    move(
        Direction.UNTRACKED,
        "vxlan",
        "it covers more than before",
        WIDENED_PREFIX,
        "65,280 addresses, one port",
        around={**PEERS, Field.SOURCE: network("10.1.0.0/16")},
    ),
    move(Direction.UNTRACKED, "vxlan-ports", "it covers more than before", WIDENED_PORTS, "256 addresses, 20 ports"),
    move(Direction.TRACKED, "vxlan-less", "it covers less than before", WIDENED_PORTS, "256 addresses, 20 ports"),
    move(
        Direction.UNTRACKED,
        "vxlan-off-by-one",
        "it covers more than before",
        OFF_BY_ONE,
        "256 addresses, one port",
        around=TWO_PORTS,
    ),
    move(Direction.UNTRACKED, "busy-servers", "the entry is new", SCATTERED, "146,432 addresses, 1,103 ports"),
)

_KINDS: Final = ("host-service", "overlay", "forward", "host-client", "ports", "match")


def entry(number: int) -> EntrySummary:
    """One of many entries, of every kind in turn."""
    kind = _KINDS[number % len(_KINDS)]
    prefix = f"10.{number >> 8 & 255}.{number & 255}.0/24"
    request, answer = f"udp {prefix} -> any:{4000 + number}", f"udp any:{4000 + number} -> {prefix}"
    covers: tuple[Covered, ...] = (Covered("in", (request,)), Covered("out", (answer, f"{request} dev lo")))
    if kind == "forward":
        covers = (Covered("forward", (f"tcp {prefix} -> 10.128.0.0/14:{number}", answer, request)),)
    role = "track" if kind == "match" else "bypass"
    place = Place(FILES[0], 20 + 4 * number, 11, 10, f"  - name: {kind}-{number}")
    return EntrySummary(role, f"{kind}-{number:05}", kind, f"number {number} of many", None, place, covers)


def entries(count: int) -> tuple[EntrySummary, ...]:
    """So many, bypass before track."""
    return tuple(sorted(map(entry, range(count)), key=lambda one: (one.role, one.name)))


def middle() -> Review:
    """A hundred entries, and the changes that are hard to see in text."""
    turns = tuple(EntryTurn("bypass", one.entry, Turn.CHANGED) for one in MOVES)
    return replace(everything(), entries=entries(100), change=Change("revision 1a2b3c4 (main)", MOVES, turns))


def large() -> Review:
    """10,000 entries, all of which changed."""
    listed = entries(10_000)
    moves = tuple(replace(MOVES[2 + at % 5], entry=one.name) for at, one in enumerate(listed))
    turns = tuple(EntryTurn(one.role, one.name, Turn.ADDED) for one in listed)
    change = Change("revision 1a2b3c4 (main)", moves, turns, is_complete=False)
    return replace(everything(), entries=listed, change=change)
