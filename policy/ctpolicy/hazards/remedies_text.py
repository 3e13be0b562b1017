"""Remedies as files that people read and paste from: a script for a shell, with the entries of policies apart.

What others wrote (rules, comments, names of chains) stands in comments alone, one line each, without anything that a
terminal obeys. The script's commands are those of commands.py and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ctpolicy.hazards.codes import BY_CODE
from ctpolicy.hazards.hazard import Hazard
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.importing.text import policy_text
from ctpolicy.language.diagnostics import harmless

MOST_SHOWN: Final = 6
"""Hazards of one remedy."""

LONGEST: Final = 300
"""Characters of somebody's rule."""


def remedies_text(found: Sequence[Remedy]) -> str:
    """All remedies as one file: what a shell may run comes first, and the rest is comments."""
    lines = [
        "#!/bin/sh",
        "# Remedies for what a bypass of connection tracking would break, from ctpolicy.",
        "# Read each before it is run: it changes the live host, and what is in a file keeps it.",
    ]
    rules = [one for one in found if one.kind is Kind.ACCEPT]
    for number, remedy in enumerate(rules, start=1):
        lines += ["", f"# Remedy {number}: accept what is dropped, {remedy.place}", *map(_comment, _about(remedy))]
        lines += [*remedy.commands, "# To undo it:", *map(_comment, remedy.undo), *map(_comment, remedy.lasting)]
    for remedy in found:
        if remedy.kind in {Kind.TRACK, Kind.NARROWER}:
            lines += ["", *map(_comment, _policy_part(remedy))]
    advice = [one for one in found if one.kind is Kind.ADVICE]
    if advice:
        lines += ["", "# No remedy that could be checked:"]
    for remedy in advice:
        lines += [_comment(line) for line in _about(remedy)]
    return "\n".join([*(line.rstrip() for line in lines), ""])


def policy_part(found: Sequence[Remedy]) -> str:
    """The track entries against certain hazards, as a file to be given beside the policy; empty if there are none."""
    certain = [one for one in found if one.kind is Kind.TRACK and any(hazard.is_certain for hazard in one.hazards)]
    entries = [entry for one in certain for entry in one.entries]
    codes = sorted({code for one in certain for code in one.codes})
    return (
        policy_text("remedies", [], entries, [f"Keeps packets tracked, against {', '.join(codes)}."]) if codes else ""
    )


def _policy_part(remedy: Remedy) -> Iterator[str]:
    if remedy.kind is Kind.TRACK:
        yield "In the policy, entries that keep these packets tracked; or as a file of its own, given beside it:"
    else:
        yield f"Or in the policy, in the place of entry {remedy.replaces}, one that bypasses less:"
    yield from _about(remedy)
    yield from (f"    {line}" for line in remedy.text.splitlines())


def _about(remedy: Remedy) -> Iterator[str]:
    for hazard in remedy.hazards[:MOST_SHOWN]:
        yield f"  {_words(hazard)}"
    if len(remedy.hazards) > MOST_SHOWN:
        yield f"  and {len(remedy.hazards) - MOST_SHOWN} more"
    yield from (f"  {note}" for note in remedy.notes)


def _words(hazard: Hazard) -> str:
    certainty = "certain" if hazard.is_certain else "possible"
    rule = f" {hazard.rule}" if hazard.rule else f" {hazard.note}"
    return f"{hazard.code} ({certainty}, {hazard.traffic.value}) {BY_CODE[hazard.code].summary}{_cut(rule)}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _comment(line: str) -> str:
    shown = harmless(line.replace("\n", " ").replace("\r", " "))
    return f"# {shown}"
