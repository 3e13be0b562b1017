"""What a review of policies has to say: one value, of which every report is a rendering.

A review is a list of checks, each with what came of it, and the change in packets since a base. Deciding is in the
modules beside this one (examine.py puts them together), writing down in `reports/`. Nothing here reads a host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from ctpolicy.language.diagnostics import Place
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import Box

Progress = Callable[[str], None]
"""Told what is begun, in a few words for people who wait."""


class Level(Enum):
    """How much a remark matters. All but notes make a review fail."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a reviewer would say.

    Args:
        code: of the rule that it comes from (codes.py).
        level: how much it matters.
        message: what is so, without a final stop.
        place: where it is in a file; None if it is of no place.
        remedy: what to do about it; empty if the message says so.
        witness: a packet that shows it; None if there is none to name.
        entry: the name of the entry that it is about; empty if it is about none.
    """

    code: str
    level: Level
    message: str
    place: Place | None = None
    remedy: str = ""
    witness: Packet | None = None
    entry: str = ""


class Subject(Enum):
    """What checks are about, in the order of a report; the value is its heading."""

    LANGUAGE = "Language"
    LINTS = "Lints"
    EXPECTATIONS = "Expectations"
    INVARIANTS = "Invariants"
    PROOFS = "Proofs"
    PROPERTIES = "Properties"
    KERNEL = "Kernel"
    HAZARDS = "Hazards"


class Result(Enum):
    """What came of a check."""

    HELD = "held"
    BROKEN = "broken"
    WAIVED = "waived"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Check:
    """One question, and what came of it.

    Args:
        subject: what it is about.
        name: the question in a few words, the same in each review that asks it; unique within the subject.
        result: what came of it.
        told: how it was answered, or why not: `equal, in 31 boxes`, `200 packets`, `no scratch namespace can be had`.
        remarks: what is to be said; at least one that is no note if it is broken.
        seconds: how long that took; 0 if nobody looked.
    """

    subject: Subject
    name: str
    result: Result
    told: str = ""
    remarks: tuple[Remark, ...] = ()
    seconds: float = field(default=0.0, compare=False)


class Direction(Enum):
    """What becomes of packets; the value is the sign that reports show."""

    UNTRACKED = "+"
    TRACKED = "-"

    @property
    def words(self) -> str:
        """As reports say it."""
        return "newly untracked" if self is Direction.UNTRACKED else "tracked again"


class Risk(IntEnum):
    """What is looked at first: the first that applies, of those in this order."""

    PROTECTED = 0
    TRANSLATED = 1
    WHOLE = 2
    ORDINARY = 3

    @property
    def words(self) -> str:
        """As reports say it; nothing of what is ordinary."""
        return ("protected traffic", "a service or translated network", "a whole family or protocol", "")[self]


@dataclass(frozen=True, slots=True)
class Move:
    """Packets that change alike because of one entry.

    Args:
        direction: what becomes of them.
        entry: the entry of which this comes; where several cover the packets, each is told.
        role: `bypass` or `track`: which kind of entry it is.
        why: in words: `the entry is new`, `it covers more than before`, `it no longer keeps them tracked`.
        packets: the box in words, after the notation of packets.
        box: all of whose packets change so.
        size: how many that are, in words: `one address, one port`, `all of udp`.
        witness: one of them.
        risk: why to look at it early.
        place: of the entry in the files that are reviewed; None if it is no longer there.
        around: what the entry covers there, of which the box is what changes: a port in its range, a prefix in its
            wider one. None if nobody looked.
    """

    direction: Direction
    entry: str
    role: str
    why: str
    packets: str
    box: Box
    size: str
    witness: Packet
    risk: Risk = Risk.ORDINARY
    place: Place | None = None
    around: Box | None = None


class Turn(Enum):
    """What became of an entry since the base; the value is the sign that reports show."""

    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"
    RENAMED = ">"


@dataclass(frozen=True, slots=True)
class EntryTurn:
    """What became of one entry, as text and as packets.

    Args:
        role: `bypass` or `track`.
        name: its name now, or the one that it had, if it is gone.
        turn: what became of it.
        means_the_same: whether it covers the same packets as before. Whether any packet changes is not this: others
            may cover them too.
        was: the name that it had, if it is renamed.
    """

    role: str
    name: str
    turn: Turn
    means_the_same: bool = False
    was: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What changes from the base to what is reviewed.

    Args:
        base: what it is compared with, in words: `revision 1a2b3c4 (main)`, `files old.yaml`.
        moves: by risk, then by direction and entry. None if and only if no packet changes.
        entries: what became of entries whose text differs, by role and name.
        is_complete: whether all packets that change are in the moves.
        is_too_large: whether the comparison was given up.
        unread: why the base cannot be compared with; empty if it can.
    """

    base: str
    moves: tuple[Move, ...] = ()
    entries: tuple[EntryTurn, ...] = ()
    is_complete: bool = True
    is_too_large: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Covered:
    """What one entry catches on one path.

    Args:
        path: `in`, `forward` or `out`.
        packets: boxes in words, after the notation of packets but for the path.
    """

    path: str
    packets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntrySummary:
    """One entry as reports show it.

    Args:
        role: `bypass` or `track`.
        name: its name.
        kind: `overlay`, `host-service` and so on.
        description: the author's; may be empty.
        acknowledge: the author's; None if there is none.
        place: where it stands.
        covers: what it catches, by path.
    """

    role: str
    name: str
    kind: str
    description: str
    acknowledge: str | None
    place: Place | None
    covers: tuple[Covered, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """All that a review has to say.

    Args:
        files: the policies, as they were named.
        policy: their name; empty if they cannot be read.
        entries: bypass, then track, each by name.
        checks: in the order of `Subject`.
        change: since the base; None if there is none to compare with.
    """

    files: tuple[str, ...]
    policy: str = ""
    entries: tuple[EntrySummary, ...] = ()
    checks: tuple[Check, ...] = ()
    change: Change | None = None

    @property
    def is_passed(self) -> bool:
        """Whether nothing is broken."""
        return all(check.result is not Result.BROKEN for check in self.checks)
