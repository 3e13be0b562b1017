"""What files of invariants say, once read: rules that must hold of policies, and what is waived until when.

Packets are told with the kinds of entries that policies have; such an entry's name is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import Entry

Packets = tuple[Entry, ...]
"""The packets that any of these entries covers."""


@dataclass(frozen=True, slots=True)
class NeverBypass:
    """None of these packets is left untracked."""

    packets: Packets


@dataclass(frozen=True, slots=True)
class AlwaysBypass:
    """All of these packets are left untracked."""

    packets: Packets


@dataclass(frozen=True, slots=True)
class OnlyBypassWithin:
    """No packet but these is left untracked."""

    packets: Packets


@dataclass(frozen=True, slots=True)
class AtMostEntries:
    """There are at most so many bypass entries that hold any of these packets, or at all if `meeting` is None."""

    limit: int
    meeting: Packets | None = None


@dataclass(frozen=True, slots=True)
class NoAcknowledged:
    """No bypass entry that holds any of these packets carries `acknowledge`; none at all if `meeting` is None."""

    meeting: Packets | None = None


Rule = NeverBypass | AlwaysBypass | OnlyBypassWithin | AtMostEntries | NoAcknowledged


@dataclass(frozen=True, slots=True)
class Invariant:
    """What must hold.

    Args:
        name: unique.
        rule: what must hold.
        description: why, in the owner's words; may be empty.
        place: where its name stands; no part of what it says.
    """

    name: str
    rule: Rule
    description: str = ""
    place: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Waiver:
    """What an invariant does not demand for now.

    Args:
        invariant: its name.
        owner: who answers for the waiver.
        reason: why it is waived.
        expires: the last day of it.
        entries: of the policy: only what is due to these; None for any.
        packets: only these; None for any.
        place: where it names the invariant; no part of what it says.
    """

    invariant: str
    owner: str
    reason: str
    expires: date
    entries: frozenset[str] | None = None
    packets: Packets | None = None
    place: Place = field(default=Place(""), compare=False)


@dataclass(frozen=True, slots=True)
class Invariants:
    """What the owners of policies' surroundings demand. Two are equal if they say the same, wherever that stands.

    Args:
        name: of the file; of several, their names joined by ` + `.
        invariants: in the order of the files; each has a name of its own.
        waivers: in the order of the files; each of one of the invariants.
        sensitive: packets of whose change a review tells early.
    """

    name: str
    invariants: tuple[Invariant, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    sensitive: Packets = ()
