"""What a change would break on hosts whose rules were collected, as checks of a review.

Certain losses of traffic break the review. What is certain otherwise warns, and so breaks it too; what is only possible
is noted, because every host has rules that nobody can model whole. Who acknowledges a hazard in the entry has its note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ctpolicy.hazards.codes import BY_CODE, Severity
from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.treatment import Treatment, Untracked
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.consequences import GIVEN_UP, MOST_WORK, Consequences, Foreseen, consequences
from ctpolicy.plan.live import Live
from ctpolicy.plan.moved import Moved
from ctpolicy.plan.surroundings import surroundings_of_dump
from ctpolicy.review.review import Check, Level, Progress, Remark, Result, Subject


@dataclass(frozen=True, slots=True)
class Host:
    """A host whose rules were collected.

    Args:
        name: of the listing.
        live: what it says.
    """

    name: str
    live: Live


def check_hazards(
    before: Policy, policy: Policy, hosts: Sequence[Host], places: Mapping[str, Place], progress: Progress
) -> Iterator[Check]:
    """A check for each host: what breaks there when one policy follows another."""
    for host in hosts:
        progress("looking for hazards on hosts")
        found = _consequences(before, policy, host.live)
        remarks = tuple(_remark(one, policy, host, places) for one in found.found)
        is_broken = any(remark.level is not Level.NOTE for remark in remarks)
        result = Result.BROKEN if is_broken else Result.HELD
        yield Check(Subject.HAZARDS, f"nothing breaks on {host.name}", result, _told(found), remarks)


def _told(found: Consequences) -> str:
    if found.looked is None and not found.found:
        return "no packet changes"
    certain = sum(one.hazard.is_certain for one in found.found)
    count = f"{certain} certain, {len(found.found) - certain} possible"
    unknown = f"; not known: {', '.join(found.unknown)}" if found.unknown else ""
    return f"{count}{unknown}"


def _consequences(before: Policy, policy: Policy, live: Live) -> Consequences:
    try:
        with bounded(MOST_WORK):
            beside = live.foreign(NFTABLES).treatment
            moved = Moved(_untracked(before, beside), _untracked(policy, beside))
    except TooLargeError:
        return consequences(None, lambda: _untracked(policy, Treatment.none()), surroundings_of_dump(live), policy)
    return consequences(moved, lambda: moved.after, surroundings_of_dump(live), policy)


def _untracked(policy: Policy, beside: Treatment) -> Untracked:
    return (Treatment.of_space(bypass_space(policy)) & beside).untracked


def _remark(foreseen: Foreseen, policy: Policy, host: Host, places: Mapping[str, Place]) -> Remark:
    hazard = foreseen.hazard
    entry = _entry(foreseen, policy)
    certainty = "certain" if hazard.is_certain else "possible"
    by = f": by {hazard.rule}" if hazard.rule else ""
    note = f": {hazard.note}" if hazard.note else ""
    summary = BY_CODE[hazard.code].summary.removesuffix(".")
    return Remark(
        code=hazard.code,
        level=_level(foreseen),
        message=f"on {host.name}, {certainty}: {summary}{by}{note} ({'; '.join(hazard.packets())})",
        place=places.get(entry),
        remedy=_remedy(foreseen, host),
        witness=hazard.witness,
        entry=entry,
    )


def _level(foreseen: Foreseen) -> Level:
    hazard = foreseen.hazard
    if hazard.code == GIVEN_UP:
        return Level.WARNING
    if not hazard.is_certain or foreseen.acknowledged or hazard.severity is Severity.INFORMATION:
        return Level.NOTE
    return Level.ERROR if hazard.severity is Severity.ERROR else Level.WARNING


def _remedy(foreseen: Foreseen, host: Host) -> str:
    if foreseen.acknowledged:
        return f"acknowledged by {', '.join(foreseen.acknowledged)}"
    return f"`ctpolicy plan --live {host.name} --remedies FILE` says what helps" if foreseen.hazard.is_certain else ""


def _entry(foreseen: Foreseen, policy: Policy) -> str:
    """An entry that leaves the witness untracked, or its answer; empty if there is none, as of ICMP errors."""
    if foreseen.acknowledged:
        return foreseen.acknowledged[0]
    witness, meaning = foreseen.hazard.witness, Meaning.of(policy)
    for packet in () if witness is None else (witness, witness.reverse()):
        for name in meaning.decide(packet).bypassed_by:
            return name
    return ""
