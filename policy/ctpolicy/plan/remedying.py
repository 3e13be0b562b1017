"""What helps against the hazards of a plan: the one place where plans and remedies meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.hazards.remedies import remedies
from ctpolicy.hazards.remedies_text import remedies_text
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.consequences import BETWEEN, MOST_WORK, Consequences

LESS_WORK: Final = 5_000_000
"""What looking for remedies may do where nobody has asked for them: some 5 s."""

_GIVEN_UP: Final = "Remedies were not looked for to the end: too many different packets and rules."
_MOST_LINES: Final = 12
"""Of one remedy that are shown; the file has all."""


@dataclass(frozen=True, slots=True)
class Remedies:
    """What helps.

    Args:
        found: each hazard is in at least one of them, be it as advice.
        note: why none were looked for; empty if they were.
    """

    found: tuple[Remedy, ...] = ()
    note: str = ""


NO_REMEDIES: Final = Remedies()


def remedies_for(consequences: Consequences, most: int = MOST_WORK) -> Remedies:
    """What helps against hazards that nobody has acknowledged, if that is no more than so much work."""
    looked = consequences.looked
    hazards = [one.hazard for one in consequences.found if one.hazard.code in BETWEEN and not one.acknowledged]
    if not hazards or looked is None:
        return NO_REMEDIES
    try:
        with bounded(most):
            return Remedies(tuple(remedies(hazards, looked.rules, looked.newly, looked.untracked, looked.policy)))
    except TooLargeError:
        return Remedies(note=_GIVEN_UP)


def remedy_lines(remedies: Remedies) -> Iterator[str]:
    """What can be pasted, in short; of advice, nothing but in the file."""
    if remedies.note:
        yield ""
        yield remedies.note
    offered = [one for one in remedies.found if one.kind is not Kind.ADVICE]
    if not offered:
        return
    yield ""
    yield "Remedies"
    for one in offered:
        yield from _lines(one)


def _lines(remedy: Remedy) -> Iterator[str]:
    codes = ", ".join(remedy.codes)
    instead = f", in the place of {remedy.replaces}" if remedy.replaces else ""
    place = f", {remedy.place}" if remedy.place else ""
    part = "" if remedy.is_complete else " in part"
    yield f"  {remedy.kind.value}{instead}{place}, against {codes}{part}"
    lines = remedy.commands or remedy.text.splitlines()
    yield from (f"      {line}".rstrip() for line in lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        yield f"      ... and {len(lines) - _MOST_LINES} more lines"
    yield from (f"      {note}" for note in remedy.notes)


def remedies_file(remedies: Remedies) -> str:
    """A script for a shell, with entries for policies in its comments."""
    text = remedies_text(remedies.found)
    return f"{text}# {remedies.note}\n" if remedies.note else text


def remedies_json(remedies: Remedies) -> list[dict[str, Any]]:
    """The remedies as a part of a plan's JSON."""
    return [_json(one) for one in remedies.found]


def _json(remedy: Remedy) -> dict[str, Any]:
    return {
        "kind": remedy.kind.value,
        "against": list(remedy.codes),
        "complete": remedy.is_complete,
        "place": remedy.place,
        "commands": list(remedy.commands),
        "undo": list(remedy.undo),
        "lasting": list(remedy.lasting),
        "policy": remedy.text,
        "replaces": remedy.replaces,
        "notes": list(remedy.notes),
    }
