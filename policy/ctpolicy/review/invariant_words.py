"""What is said of invariants, in words: of those that hold, and of entries that break them. Deciding is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import Entry
from ctpolicy.language.rules import (
    AlwaysBypass,
    Invariant,
    NeverBypass,
    NoAcknowledged,
    OnlyBypassWithin,
    Rule,
    Waiver,
)
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.review.review import Level, Remark

MOST_TOLD: Final = 5
"""Entries that break one invariant and are told; of more it is said that there are."""

_BOXES: Final = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one invariant.

    Args:
        remarks: what breaks it; none if it holds.
        told: how it was answered.
    """

    remarks: tuple[Remark, ...]
    told: str


def too_many(invariant: Invariant, limit: int, names: Sequence[str]) -> Answer:
    """How many entries count, and that these are too many if they are."""
    told = f"{len(names)} of at most {limit}"
    if len(names) <= limit:
        return Answer((), told)
    shown = ", ".join(f"`{name}`" for name in sorted(names)[:MOST_TOLD])
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    counts = "bypass entry counts" if len(names) == 1 else "bypass entries count"
    message = f"{len(names)} {counts} for `{invariant.name}`, which allows {limit}: {shown}{more}"
    remedy = _with_why("fewer entries, or a waiver of some", invariant)
    return Answer((Remark("RV003", Level.ERROR, message, invariant.place, remedy),), told)


def broken_by(invariant: Invariant, entry: Entry | None, space: PacketSpace, place: Place | None) -> Remark:
    """That an entry, or the want of one, breaks an invariant, and a packet that shows it.

    Args:
        invariant: what is broken.
        entry: that breaks it; None if the want of one does.
        space: the packets with which it does, at least one.
        place: where the entry stands, if that is known.
    """
    message = f"{_deed(invariant, entry)}: {_words(space)}"
    remedy = _with_why(_REMEDIES[type(invariant.rule)], invariant)
    name = entry.name if entry else ""
    return Remark("RV003", Level.ERROR, message, place or invariant.place, remedy, space.witness(), name)


def _deed(invariant: Invariant, entry: Entry | None) -> str:
    who, name = f"`{entry.name}`" if entry else "no entry", f"`{invariant.name}`"
    match invariant.rule:
        case NeverBypass():
            return f"{who} bypasses what {name} never lets bypass"
        case OnlyBypassWithin():
            return f"{who} bypasses more than {name} allows"
        case AlwaysBypass() if entry is None:
            return f"no entry bypasses what {name} wants bypassed"
        case AlwaysBypass():
            return f"{who} keeps tracked what {name} wants bypassed"
        case _:
            return f"{who} is acknowledged, and {name} allows nothing of the kind"


_REMEDIES: Final[dict[type[Rule], str]] = {
    NeverBypass: "a narrower entry, a track entry, or a waiver",
    OnlyBypassWithin: "a narrower entry, a track entry, or a waiver",
    AlwaysBypass: "a bypass entry for them, narrower track entries, or a waiver",
    NoAcknowledged: "an entry that needs no `acknowledge`, or a waiver",
}


def _with_why(remedy: str, invariant: Invariant) -> str:
    """A remedy, where the invariant stands, and why its owner wants it."""
    where = f" ({invariant.place})" if invariant.place.file else ""
    why = f"; `{invariant.name}`{where} is there because: {invariant.description}"
    return remedy + (why if invariant.description else f"; the invariant is at {invariant.place}" if where else "")


def _words(space: PacketSpace) -> str:
    return "; ".join(str(space.describe(_BOXES)).split("\n"))


def held(rule: Rule) -> str:
    """What was found of an invariant that holds."""
    match rule:
        case NeverBypass():
            return f"none is bypassed of: {_words(entries_space(rule.packets))}"
        case OnlyBypassWithin():
            return f"nothing is bypassed but: {_words(entries_space(rule.packets))}"
        case AlwaysBypass():
            return f"all are bypassed of: {_words(entries_space(rule.packets))}"
        case _:
            return "no entry is acknowledged"


def waived(waivers: Iterable[Waiver]) -> str:
    """By whom, until when and why something is waived."""
    said = [f"by {waiver.owner} until {waiver.expires}: {waiver.reason}" for waiver in waivers]
    return "waived " + "; ".join(dict.fromkeys(said))


def has_expired(waiver: Waiver) -> Remark:
    """That a waiver would still be needed, and has expired."""
    message = f"the waiver of `{waiver.invariant}` for {waiver.owner} ({waiver.reason}) expired on {waiver.expires}"
    remedy = f"the policy changed, or a new day that {waiver.owner} answers for"
    return Remark("RV004", Level.WARNING, message, waiver.place, remedy)


def unneeded(waiver: Waiver, today: date) -> Remark:
    """That a waiver waives nothing of this policy."""
    when = (
        f"expired on {waiver.expires}, and" if today > waiver.expires else f"of {waiver.owner} until {waiver.expires}"
    )
    message = f"the waiver of `{waiver.invariant}` {when} waives nothing here"
    return Remark("RV004", Level.NOTE, message, waiver.place, "leave it out, unless other policies need it")
