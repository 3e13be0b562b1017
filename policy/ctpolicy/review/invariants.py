"""Invariants held against a policy: each is proven of every packet, or broken, with a packet that shows it.

What an invariant forbids is put as sets of packets (`Breach`): it holds exactly if these are empty, or, where entries
are counted, if few enough of them have a packet in them. So a proof is no sample, and a witness is no guess.

What is made of waivers: an invariant that holds only because of waivers is waived, and the check says by whom, why and
until when. One that is broken beside its waivers, or since one of them has expired, is broken. That a waiver waives
nothing here is a note and no failure: the same invariants are held against many policies, and others may need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import Entry, Policy
from ctpolicy.language.rules import (
    AlwaysBypass,
    AtMostEntries,
    Invariant,
    Invariants,
    NeverBypass,
    NoAcknowledged,
    OnlyBypassWithin,
    Packets,
    Rule,
    Waiver,
)
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace, bounded
from ctpolicy.review.review import Check, Level, Remark, Result, Subject
from ctpolicy.review.waivers import Breach, in_force, is_needed

MOST_WORK: Final = 15_000_000
"""For all invariants together; about 15 seconds (see packetspace.space.bounded)."""

MOST_TOLD: Final = 10
"""Entries that break one invariant and are told; of more it is said that there are."""

_BOXES: Final = 3


def sensitive_space(invariants: Invariants) -> PacketSpace:
    """The packets of whose change a review is to tell early."""
    return entries_space(invariants.sensitive)


def check_invariants(
    policy: Policy,
    invariants: Invariants,
    today: date,
    places: Mapping[str, Place] | None = None,
    most: int = MOST_WORK,
) -> list[Check]:
    """Each invariant, and whether it holds of a policy.

    Args:
        policy: what is reviewed.
        invariants: what must hold.
        today: in UTC; a waiver is in force through its last day.
        places: where the entries of the policy stand, by name.
        most: work for all of them; those that would take more are given up and count as broken.
    """
    subject = _Subject(policy, places or {})
    with bounded(most):
        return [_check(invariant, invariants.waivers, subject, today) for invariant in invariants.invariants]


class _Subject:
    """The policy, and the sets of packets that are asked for again and again."""

    def __init__(self, policy: Policy, places: Mapping[str, Place]) -> None:
        self.policy = policy
        self.places = places
        self._spaces: tuple[PacketSpace, PacketSpace] | None = None

    def spaces(self) -> tuple[PacketSpace, PacketSpace]:
        """What bypass entries hold, and what of it is left untracked."""
        if self._spaces is None:
            bypassed = entries_space(self.policy.bypass)
            self._spaces = bypassed, bypassed - entries_space(self.policy.track)
        return self._spaces


def _check(invariant: Invariant, waivers: Iterable[Waiver], subject: _Subject, today: date) -> Check:
    own = [waiver for waiver in waivers if waiver.invariant == invariant.name]
    try:
        return _answered(invariant, own, subject, today)
    except TooLargeError:
        message = f"whether `{invariant.name}` holds was given up: the policy is too large for the question"
        remark = Remark("RV012", Level.WARNING, message, invariant.place, "narrower packets, or several policies")
        return Check(Subject.INVARIANTS, invariant.name, Result.BROKEN, "given up", (remark,))


@dataclass(frozen=True, slots=True)
class _Finding:
    """What breaks an invariant.

    Args:
        remarks: none if it holds.
        told: how it was answered.
    """

    remarks: tuple[Remark, ...]
    told: str


def _answered(invariant: Invariant, waivers: Sequence[Waiver], subject: _Subject, today: date) -> Check:
    breaches = _breaches(invariant.rule, subject)
    valid, expired = in_force(waivers, today)
    needed = [waiver for waiver in waivers if is_needed(waiver, breaches)]
    without = _found(invariant, breaches, subject)
    notes = tuple(_unneeded(waiver, expired) for waiver in waivers if waiver not in needed or not without.remarks)
    if not without.remarks:
        return Check(Subject.INVARIANTS, invariant.name, Result.HELD, without.told, notes)
    used = [waiver for waiver in valid if waiver in needed]
    left = [part for breach in breaches for part in breach.but_for(used)] if used else breaches
    found = _found(invariant, left, subject) if used else without
    if not found.remarks:
        return Check(Subject.INVARIANTS, invariant.name, Result.WAIVED, _waived(used), notes)
    late = tuple(_expired(waiver) for waiver in expired if waiver in needed)
    told = f"{found.told}; of the rest {_waived(used)}" if used else found.told
    return Check(Subject.INVARIANTS, invariant.name, Result.BROKEN, told, (*found.remarks, *late, *notes))


def _waived(waivers: Iterable[Waiver]) -> str:
    said = [f"by {waiver.owner} until {waiver.expires}: {waiver.reason}" for waiver in waivers]
    return "waived " + "; ".join(dict.fromkeys(said))


def _expired(waiver: Waiver) -> Remark:
    message = f"the waiver of `{waiver.invariant}` for {waiver.owner} ({waiver.reason}) expired on {waiver.expires}"
    remedy = f"the policy changed, or a new day that {waiver.owner} answers for"
    return Remark("RV004", Level.WARNING, message, waiver.place, remedy)


def _unneeded(waiver: Waiver, expired: Sequence[Waiver]) -> Remark:
    when = f"expired on {waiver.expires}, and" if waiver in expired else f"of {waiver.owner} until {waiver.expires}"
    message = f"the waiver of `{waiver.invariant}` {when} waives nothing here"
    return Remark("RV004", Level.NOTE, message, waiver.place, "leave it out, unless other policies need it")


def _breaches(rule: Rule, subject: _Subject) -> list[Breach]:
    """What stands against a rule if there are no waivers; of rules that count, each entry that counts."""
    policy = subject.policy
    match rule:
        case NeverBypass():
            return [Breach(subject.spaces()[1] & entries_space(rule.packets), policy.bypass)]
        case OnlyBypassWithin():
            return [Breach(subject.spaces()[1] - entries_space(rule.packets), policy.bypass)]
        case AlwaysBypass():
            bypassed, untracked = subject.spaces()
            wanted = entries_space(rule.packets)
            return [Breach(wanted - bypassed), Breach((wanted & bypassed) - untracked, policy.track)]
        case AtMostEntries():
            return list(_each(policy.bypass, rule.meeting))
        case NoAcknowledged():
            acknowledged = tuple(entry for entry in policy.bypass if entry.acknowledge is not None)
            return list(_each(acknowledged, rule.meeting))


def _each(entries: Iterable[Entry], meeting: Packets | None) -> Iterator[Breach]:
    """The entries that hold any of these packets, or any at all, and what of these each holds."""
    within = PacketSpace.all() if meeting is None else entries_space(meeting)
    for entry in entries:
        if space := entries_space([entry]) & within:
            yield Breach(space, (entry,))


def _found(invariant: Invariant, breaches: Sequence[Breach], subject: _Subject) -> _Finding:
    """What is to be said of breaches, those that are waived left out."""
    rule = invariant.rule
    there = [breach for breach in breaches if breach.space]
    if isinstance(rule, AtMostEntries):
        return _too_many(invariant, rule.limit, [breach.entries[0].name for breach in there])
    pairs, is_complete = _blamed(there)
    remarks = tuple(_remark(invariant, entry, space, subject) for entry, space in pairs[:MOST_TOLD])
    if not remarks:
        return _Finding((), _held(rule))
    by = ", ".join(remark.entry or "what no entry bypasses" for remark in remarks)
    return _Finding(remarks, f"broken by {by}{'' if is_complete and len(pairs) <= MOST_TOLD else ' and others'}")


def _too_many(invariant: Invariant, limit: int, names: Sequence[str]) -> _Finding:
    told = f"{len(names)} of at most {limit}"
    if len(names) <= limit:
        return _Finding((), told)
    shown = ", ".join(f"`{name}`" for name in sorted(names)[:MOST_TOLD])
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    counts = "bypass entry counts" if len(names) == 1 else "bypass entries count"
    message = f"{len(names)} {counts} for `{invariant.name}`, which allows {limit}: {shown}{more}"
    remedy = _with_why("fewer entries, or a waiver of some", invariant)
    return _Finding((Remark("RV003", Level.ERROR, message, invariant.place, remedy),), told)


_Blamed = tuple[Entry | None, PacketSpace]
"""An entry, None for no entry, and the packets for which it is to blame."""


def _blamed(breaches: Sequence[Breach]) -> tuple[list[_Blamed], bool]:
    """Entries that are to blame, by name, and whether these are all but for such as only do what others do too."""
    found: list[_Blamed] = []
    is_complete = True
    for breach in breaches:
        if not breach.entries:
            found.append((None, breach.space))
            continue
        named, is_whole = _holding(breach, MOST_TOLD)
        found += named
        is_complete = is_complete and is_whole
    return sorted(found, key=lambda pair: pair[0].name if pair[0] else ""), is_complete


def _holding(breach: Breach, most: int) -> tuple[list[_Blamed], bool]:
    """Entries that hold packets of a breach, and what they hold of it, until all its packets are in one of them."""
    if len(breach.entries) == 1:
        return [(breach.entries[0], breach.space)], True
    boxes = [(entry, legs(entry)) for entry in breach.entries]
    found: list[_Blamed] = []
    left = breach.space
    while (packet := left.witness()) and len(found) < most:
        holding = [entry for entry, own in boxes if _any(own, packet)]
        assert holding, "each packet of a breach is in one of its entries"
        found += [(entry, breach.space & entries_space([entry])) for entry in holding[: most - len(found)]]
        left -= entries_space(holding)
    return found, not left


def _any(boxes: tuple[Leg, ...], packet: Packet) -> bool:
    return any(packet in box for box in boxes)


def _remark(invariant: Invariant, entry: Entry | None, space: PacketSpace, subject: _Subject) -> Remark:
    """That an entry, or the want of one, breaks an invariant, and a packet that shows it."""
    place = subject.places.get(entry.name) if entry else None
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


def _held(rule: Rule) -> str:
    match rule:
        case NeverBypass():
            return f"none is bypassed of: {_words(entries_space(rule.packets))}"
        case OnlyBypassWithin():
            return f"nothing is bypassed but: {_words(entries_space(rule.packets))}"
        case AlwaysBypass():
            return f"all are bypassed of: {_words(entries_space(rule.packets))}"
        case _:
            return "no entry is acknowledged"
