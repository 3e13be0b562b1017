"""Reviews for tests of reports, one of each kind that matters; any_reviews.py has hostile and random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set
from ctpolicy.review.review import (
    Change,
    Check,
    Covered,
    Direction,
    EntrySummary,
    EntryTurn,
    Level,
    Move,
    Remark,
    Result,
    Review,
    Risk,
    Subject,
    Turn,
)

FILES: Final = ("policies/worker.yaml", "policies/site.yaml")
BASE: Final = "revision 1a2b3c4 (main)"

SSH: Final = parse_packet("in tcp 10.9.9.9:5555 -> 192.168.7.71:22")
METRICS: Final = parse_packet("in tcp 192.168.7.71:40000 -> 192.168.7.2:9100")
VXLAN: Final = parse_packet("in udp [fd00:7::1]:40000 -> [fd00:7::2]:4789 dev eth0")
SERVICE: Final = parse_packet("out udp 192.168.7.71:40000 -> 172.30.0.10:53 dev eth0")


def place(line: int, column: int, length: int, text: str, file: str = FILES[0]) -> Place:
    """A span of a line of a policy."""
    return Place(file, line, column, length, text)


METRICS_PLACE: Final = place(12, 11, 12, "  - name: node-metrics")
VXLAN_PLACE: Final = place(8, 11, 5, "  - name: vxlan")
SERVICE_PLACE: Final = place(4, 11, 15, "  - name: service-network", FILES[1])

ENTRIES: Final = (
    EntrySummary(
        "bypass",
        "node-metrics",
        "host-service",
        "what the monitoring asks of nodes",
        None,
        METRICS_PLACE,
        (
            Covered("in", ("tcp 192.168.7.64/26 -> any:9100",)),
            Covered("out", ("tcp any:9100 -> 192.168.7.64/26", "tcp 192.168.7.64/26 -> any:9100 dev lo")),
        ),
    ),
    EntrySummary(
        "bypass",
        "vxlan",
        "overlay",
        "disable conntrack for vxlan",
        "peers are only nodes: agreed with the network team",
        VXLAN_PLACE,
        (Covered("in", ("udp any -> any:4789",)), Covered("out", ("udp any -> any:4789",))),
    ),
    EntrySummary(
        "track",
        "service-network",
        "match",
        "",
        None,
        SERVICE_PLACE,
        (
            Covered("in", ("172.30.0.0/16 -> any", "any -> 172.30.0.0/16")),
            Covered("forward", ("172.30.0.0/16 -> any", "any -> 172.30.0.0/16")),
            Covered("out", ("172.30.0.0/16 -> any", "any -> 172.30.0.0/16")),
        ),
    ),
)

HELD: Final = (
    Check(Subject.LANGUAGE, "the policies can be read", Result.HELD, "2 files, 3 entries", seconds=0.012),
    Check(Subject.LINTS, "no entry is covered by another", Result.HELD, "3 entries", seconds=0.03),
    Check(Subject.EXPECTATIONS, "tracked: in tcp 10.9.9.9:5555 -> 192.168.7.71:22", Result.HELD, "as expected"),
    Check(Subject.INVARIANTS, "ssh-is-tracked", Result.HELD, "proven for all packets", seconds=0.004),
    Check(Subject.PROOFS, "nftables leaves untracked what the policy means", Result.HELD, "equal, in 31 boxes"),
    Check(Subject.PROPERTIES, "the order of entries does not matter", Result.HELD, "200 packets"),
    Check(Subject.KERNEL, "the kernel leaves untracked what the policy means", Result.HELD, "400 packets", seconds=1.5),
)


def _box(path: Path, protocol: int, port: int) -> Box:
    return {
        Field.PATH: path_set(path),
        Field.FAMILY: family_set(Family.IPV4),
        Field.PROTOCOL: IntervalSet.single(protocol),
        Field.DESTINATION_PORT: IntervalSet.single(port),
    }


MOVES: Final = (
    Move(
        Direction.UNTRACKED,
        "node-metrics",
        "bypass",
        "it covers more than before",
        "in tcp 10.0.0.0/8 -> any:22",
        {
            Field.PATH: path_set(Path.IN),
            Field.FAMILY: family_set(Family.IPV4),
            Field.PROTOCOL: IntervalSet.single(6),
            Field.SOURCE: IntervalSet(((10 << 24, (11 << 24) - 1),)),
            Field.DESTINATION_PORT: IntervalSet.single(22),
        },
        "16,777,216 addresses, one port",
        SSH,
        Risk.PROTECTED,
        METRICS_PLACE,
    ),
    Move(
        Direction.UNTRACKED,
        "service-network",
        "track",
        "it no longer keeps them tracked",
        "out udp any -> 172.30.0.0/16",
        {
            Field.PATH: path_set(Path.OUT),
            Field.FAMILY: family_set(Family.IPV4),
            Field.PROTOCOL: IntervalSet.single(17),
            Field.DESTINATION: IntervalSet((((172 << 24) + (30 << 16), (172 << 24) + (31 << 16) - 1),)),
        },
        "65,536 addresses, all ports",
        SERVICE,
        Risk.TRANSLATED,
        SERVICE_PLACE,
    ),
    Move(
        Direction.TRACKED,
        "vxlan",
        "bypass",
        "it covers less than before",
        "in udp any (ipv6) -> any:4789",
        {
            Field.PATH: path_set(Path.IN),
            Field.FAMILY: family_set(Family.IPV6),
            Field.PROTOCOL: IntervalSet.single(17),
            Field.DESTINATION_PORT: IntervalSet.single(4789),
        },
        "all of IPv6, one port",
        VXLAN,
        Risk.WHOLE,
        VXLAN_PLACE,
    ),
    Move(
        Direction.UNTRACKED,
        "node-metrics",
        "bypass",
        "the entry is new",
        "in tcp 192.168.7.71 -> any:9100",
        _box(Path.IN, 6, 9100),
        "one address, one port",
        METRICS,
        Risk.ORDINARY,
        METRICS_PLACE,
    ),
    Move(
        Direction.TRACKED,
        "upstream-dns",
        "bypass",
        "the entry is gone",
        "out udp any -> 192.168.7.53:53",
        _box(Path.OUT, 17, 53),
        "one address, one port",
        parse_packet("out udp 192.168.7.71:40000 -> 192.168.7.53:53"),
    ),
)
TURNS: Final = (
    EntryTurn("bypass", "node-metrics", Turn.ADDED),
    EntryTurn("bypass", "tunnels", Turn.RENAMED, means_the_same=True, was="overlay"),
    EntryTurn("bypass", "upstream-dns", Turn.REMOVED),
    EntryTurn("bypass", "vxlan", Turn.CHANGED),
    EntryTurn("track", "service-network", Turn.CHANGED, means_the_same=True),
)
CHANGE: Final = Change(BASE, MOVES, TURNS)

BROKEN: Final = (
    Check(
        Subject.LANGUAGE,
        "the invariants can be read",
        Result.BROKEN,
        "1 mistake",
        (
            Remark(
                "RV001",
                Level.ERROR,
                "port 70000 is above 65535",
                place(9, 14, 5, "    - tcp/70000", "invariants.yaml"),
                "expected: a port between 0 and 65535",
            ),
        ),
    ),
    Check(
        Subject.LINTS,
        "no flow is half untracked",
        Result.BROKEN,
        "1 entry",
        (
            Remark(
                "CT003",
                Level.WARNING,
                "bypasses one direction of flows whose answers stay tracked",
                METRICS_PLACE,
                "say `both-ways: true`",
                METRICS,
                "node-metrics",
            ),
        ),
    ),
    Check(
        Subject.EXPECTATIONS,
        "untracked: in udp [fd00:7::1]:40000 -> [fd00:7::2]:4789 dev eth0",
        Result.BROKEN,
        "1 of 2 is not as expected",
        (
            Remark(
                "RV002",
                Level.ERROR,
                "the packet is tracked: no entry covers it",
                place(30, 5, 60, "  - untracked: in udp [fd00:7::1]:40000 -> [fd00:7::2]:4789 dev eth0"),
                "",
                VXLAN,
            ),
        ),
    ),
    Check(
        Subject.INVARIANTS,
        "ssh-is-tracked",
        Result.BROKEN,
        "never-bypass: tcp/22, of @network-team",
        (
            Remark(
                "RV003",
                Level.ERROR,
                "`node-metrics` bypasses what the invariant `ssh-is-tracked` says is never bypassed",
                METRICS_PLACE,
                "leave 10.0.0.0/8 out, or ask @network-team for a waiver",
                SSH,
                "node-metrics",
            ),
            Remark(
                "RV003", Level.NOTE, "the invariant is here", place(3, 5, 20, "  - name: ssh-is-tracked", "inv.yaml")
            ),
        ),
        0.25,
    ),
    Check(
        Subject.PROOFS,
        "iptables-legacy leaves untracked what the policy means",
        Result.BROKEN,
        "given up",
        (Remark("RV012", Level.WARNING, "the proof was given up: the policy is too large for it", None, "", None),),
        10.0,
    ),
    Check(
        Subject.PROPERTIES,
        "answers of whole flows are untracked too",
        Result.BROKEN,
        "1 of 200 packets",
        (Remark("RV006", Level.ERROR, "the packet is untracked, and what answers it is not", None, "", METRICS),),
    ),
    Check(
        Subject.KERNEL,
        "the kernel leaves untracked what the policy means",
        Result.BROKEN,
        "1 of 400 packets",
        (Remark("RV007", Level.ERROR, "the kernel tracks it", None, "tell the authors of ctpolicy", VXLAN),),
        1.5,
    ),
)
WAIVED: Final = Check(
    Subject.INVARIANTS,
    "at-most-200-entries",
    Result.WAIVED,
    "waived by network-team until 2027-01-31: the old cluster goes away",
    (
        Remark(
            "RV003",
            Level.WARNING,
            "there are 213 entries",
            place(14, 5, 20, "  - name: at-most-200-entries", "inv.yaml"),
            "join some",
        ),
    ),
)
NOT_ASKED: Final = Check(
    Subject.KERNEL,
    "the kernel leaves untracked what the policy means",
    Result.NOT_ASKED,
    "no scratch namespace can be had",
)


def passed() -> Review:
    """Nothing to say."""
    return Review(FILES, "worker", ENTRIES, HELD)


def no_change() -> Review:
    """Two entries written anew, and not a packet."""
    turns = tuple(turn for turn in TURNS if turn.means_the_same)
    return replace(passed(), change=Change(BASE, (), turns))


def changed() -> Review:
    """A change that breaks nothing: of every risk and of both directions, one entry gone."""
    return replace(passed(), change=CHANGE)


def unread_base() -> Review:
    """What it is compared with cannot be read."""
    told = "old.yaml:3:1: a policy has no `name`"
    broken = Check(
        Subject.LANGUAGE,
        "the base can be read",
        Result.BROKEN,
        "it cannot",
        (Remark("RV010", Level.ERROR, told, Place("old.yaml", 3, 1, 4, "bypass:")),),
    )
    return replace(passed(), checks=(broken, *HELD), change=Change("files old.yaml", unread=told))


def mistaken() -> Review:
    """The policies cannot be read, so nothing else was asked."""
    mistake = Remark(
        "RV001",
        Level.ERROR,
        "`vxlen` is not a tunnel",
        place(9, 14, 5, "    overlay: vxlen"),
        "did you mean `vxlan`?",
    )
    whole = Remark("RV001", Level.ERROR, "the file is empty", Place(FILES[1]))
    told = "the policies cannot be read"
    others = (
        Check(subject, "all of it", Result.NOT_ASKED, told)
        for subject in Subject
        if subject not in {Subject.LANGUAGE, Subject.HAZARDS}
    )
    broken = Check(Subject.LANGUAGE, "the policies can be read", Result.BROKEN, "2 mistakes", (mistake, whole))
    return Review(FILES, checks=(broken, *others))


def broken() -> Review:
    """A check of each subject is broken."""
    return replace(passed(), checks=BROKEN)


def waived() -> Review:
    """One invariant is waived."""
    return replace(passed(), checks=(*HELD[:4], WAIVED, *HELD[4:]))


def not_asked() -> Review:
    """The kernel was not asked."""
    return replace(passed(), checks=(*HELD[:-1], NOT_ASKED))


def too_large() -> Review:
    """The comparison was given up."""
    return replace(passed(), change=Change(BASE, (), TURNS[:1], is_complete=False, is_too_large=True))


def everything() -> Review:
    """A change, broken checks of each subject, a waiver, something that was not asked, and notes."""
    note = Remark("CT005", Level.NOTE, "bypasses protected traffic, acknowledged", VXLAN_PLACE, "", SSH, "vxlan")
    lints = replace(HELD[1], name="protected traffic is acknowledged", remarks=(note,))
    kernel = replace(NOT_ASKED, name="the kernel takes what is compiled for iptables-nft")
    lost = Remark("HZ002", Level.ERROR, "on worker.json, certain: answers are dropped", VXLAN_PLACE, "", SSH, "vxlan")
    hazards = Check(Subject.HAZARDS, "nothing breaks on worker.json", Result.BROKEN, "1 certain, 0 possible", (lost,))
    checks = sorted(
        [*BROKEN, HELD[0], lints, HELD[4], WAIVED, kernel, hazards],
        key=lambda check: list(Subject).index(check.subject),
    )
    return Review(FILES, "worker", ENTRIES, tuple(checks), CHANGE)


def large_change(count: int = 2000) -> Review:
    """A change of very many moves, not all of which are told."""
    moves = tuple(
        replace(
            MOVES[number % len(MOVES)],
            entry=f"entry-{number}",
            packets=f"in udp 10.{number >> 8}.{number & 255}.0/24 -> any:4789",
            risk=Risk.PROTECTED if number < count // 10 else Risk.ORDINARY,
        )
        for number in range(count)
    )
    turns = tuple(EntryTurn("bypass", f"entry-{number}", Turn.ADDED) for number in range(count))
    entries = tuple(replace(ENTRIES[0], name=f"entry-{number}") for number in range(count))
    return replace(everything(), change=Change(BASE, moves, turns, is_complete=False), entries=entries)


REVIEWS: Final[dict[str, Callable[[], Review]]] = {
    "passed": passed,
    "no-change": no_change,
    "changed": changed,
    "unread-base": unread_base,
    "mistaken": mistaken,
    "broken": broken,
    "waived": waived,
    "not-asked": not_asked,
    "too-large": too_large,
    "everything": everything,
}
"""Small reviews by name, one of each kind."""
