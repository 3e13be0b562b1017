"""Invariants held against a policy: each is proven of every packet, or broken, with a packet that shows it.

What an invariant forbids is put as sets of packets (`Breach`): it holds exactly if these are empty, or, where entries
are counted, if few enough of them have a packet in them. So a proof is no sample, and a witness is no guess.

What is made of waivers: an invariant that holds only because of waivers is waived, and the check says by whom, why and
until when. One that is broken beside its waivers, or since one of them has expired, is broken. That a waiver waives
nothing here is a note and no failure: the same invariants are held against many policies, and others may need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from ctpolicy.review.invariant_words import MOST_TOLD, Answer, broken_by, has_expired, held, too_many, unneeded, waived
from ctpolicy.review.neighbours import Neighbourhood
from ctpolicy.review.review import Check, Level, Remark, Result, Subject
from ctpolicy.review.spaces import Spaces
from ctpolicy.review.waivers import Breach, in_force, is_needed

MOST_WORK: Final = 15_000_000
"""For all invariants together; about 15 seconds (see packetspace.space.bounded)."""


MOST_ASKED: Final = 200_000
"""Entries that are asked one by one for all invariants together; about 0.1 ms each."""


def sensitive_space(invariants: Invariants) -> PacketSpace:
    """The packets of whose change a review is to tell early."""
    return entries_space(invariants.sensitive)


def check_invariants(
    policy: Policy,
    invariants: Invariants,
    today: date,
    places: Mapping[str, Place] | None = None,
    spaces: Spaces | None = None,
    most: int = MOST_WORK,
) -> list[Check]:
    """Each invariant, and whether it holds of a policy.

    Args:
        policy: what is reviewed.
        invariants: what must hold.
        today: in UTC; a waiver is in force through its last day.
        places: where the entries of the policy stand, by name.
        spaces: of the policy, if they are known already.
        most: work for all of them; those that would take more are given up and count as broken.
    """
    subject = _Subject(policy, places or {}, spaces)
    waivers: dict[str, list[Waiver]] = {}
    for waiver in invariants.waivers:
        waivers.setdefault(waiver.invariant, []).append(waiver)
    with bounded(most):
        return [
            _check(invariant, waivers.get(invariant.name, []), subject, today) for invariant in invariants.invariants
        ]


class _Subject:
    """The policy, its spaces once somebody has asked for them, and how much may still be asked."""

    def __init__(self, policy: Policy, places: Mapping[str, Place], spaces: Spaces | None) -> None:
        self.policy = policy
        self.places = places
        self._spaces = spaces
        self._questions_left = MOST_ASKED

    def asking(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Entries that are to be asked one by one, which is work that no space counts.

        Raises:
            TooLargeError: that would be too many.
        """
        self._questions_left -= len(entries)
        if self._questions_left < 0:
            raise TooLargeError
        return entries

    def place_of(self, entry: Entry | None) -> Place | None:
        """Where an entry stands, if that is known."""
        return self.places.get(entry.name) if entry else None

    def spaces(self) -> Spaces:
        """The spaces of the policy."""
        if self._spaces is None:
            self._spaces = Spaces.of(self.policy)
        return self._spaces


def _check(invariant: Invariant, waivers: Sequence[Waiver], subject: _Subject, today: date) -> Check:
    try:
        return _answered(invariant, waivers, subject, today)
    except TooLargeError:
        message = f"whether `{invariant.name}` holds was given up: the policy is too large for the question"
        remark = Remark("RV012", Level.WARNING, message, invariant.place, "narrower packets, or several policies")
        return Check(Subject.INVARIANTS, invariant.name, Result.BROKEN, "given up", (remark,))


def _answered(invariant: Invariant, waivers: Sequence[Waiver], subject: _Subject, today: date) -> Check:
    rule = invariant.rule
    if isinstance(rule, AtMostEntries) and rule.meeting is None and not waivers:  # no need of 10,000 sets of packets
        entries = subject.asking(subject.policy.bypass)
        count = too_many(invariant, rule.limit, [entry.name for entry in entries if legs(entry)])
        return _checked(invariant, Result.BROKEN if count.remarks else Result.HELD, count)
    breaches = _breaches(rule, subject)
    valid, expired = in_force(waivers, today)
    found = _found(invariant, breaches, subject)
    if not found.remarks:
        return _checked(invariant, Result.HELD, found, [unneeded(waiver, today) for waiver in waivers])
    used = [waiver for waiver in valid if is_needed(waiver, breaches)]
    if used:
        breaches = [part for breach in breaches for part in breach.but_for(used)]
        found = _found(invariant, breaches, subject)
    late = [waiver for waiver in expired if is_needed(waiver, breaches)] if found.remarks else []
    more = [has_expired(waiver) for waiver in late]
    more += [unneeded(waiver, today) for waiver in waivers if waiver not in used and waiver not in late]
    rest = "; the rest is " if found.remarks and used else ""
    told = (found.told if found.remarks else "") + rest + (waived(used) if used else "")
    result = Result.BROKEN if found.remarks else Result.WAIVED
    return _checked(invariant, result, Answer(found.remarks, told), more)


def _checked(invariant: Invariant, result: Result, found: Answer, more: Iterable[Remark] = ()) -> Check:
    return Check(Subject.INVARIANTS, invariant.name, result, found.told, (*found.remarks, *more))


def _breaches(rule: Rule, subject: _Subject) -> list[Breach]:
    """What stands against a rule if there are no waivers; of rules that count, each entry that counts."""
    policy = subject.policy
    match rule:
        case NeverBypass():
            return [Breach(subject.spaces().untracked & entries_space(rule.packets), policy.bypass)]
        case OnlyBypassWithin():
            return [Breach(subject.spaces().untracked - entries_space(rule.packets), policy.bypass)]
        case AlwaysBypass():
            wanted, spaces = entries_space(rule.packets), subject.spaces()
            kept = (wanted & spaces.bypassed) - spaces.untracked
            return [Breach(wanted - spaces.bypassed), Breach(kept, policy.track)]
        case AtMostEntries():
            return list(_each(subject.asking(policy.bypass), rule.meeting))
        case NoAcknowledged():
            acknowledged = tuple(entry for entry in policy.bypass if entry.acknowledge is not None)
            return list(_each(subject.asking(acknowledged), rule.meeting))


def _each(entries: Iterable[Entry], meeting: Packets | None) -> Iterator[Breach]:
    """The entries that hold any of these packets, or any at all, and what of these each holds."""
    if meeting is None:
        yield from (Breach(entries_space([entry]), (entry,)) for entry in entries)
        return
    within, near = entries_space(meeting), Neighbourhood(meeting)
    for entry in entries:
        if near.may_hold_some_of(entry) and (space := entries_space([entry]) & within):
            yield Breach(space, (entry,))


def _found(invariant: Invariant, breaches: Sequence[Breach], subject: _Subject) -> Answer:
    """What is to be said of breaches, those that are waived left out."""
    rule = invariant.rule
    there = [breach for breach in breaches if breach.space]
    if isinstance(rule, AtMostEntries):
        return too_many(invariant, rule.limit, [breach.entries[0].name for breach in there])
    pairs, is_complete = _blamed(there, subject)
    remarks = tuple(broken_by(invariant, *pair, subject.place_of(pair[0])) for pair in pairs[:MOST_TOLD])
    if not remarks:
        return Answer((), held(rule))
    by = ", ".join(remark.entry or "what no entry bypasses" for remark in remarks)
    return Answer(remarks, f"broken by {by}{'' if is_complete and len(pairs) <= MOST_TOLD else ' and others'}")


_Blamed = tuple[Entry | None, PacketSpace]
"""An entry, None for no entry, and the packets for which it is to blame."""


def _blamed(breaches: Sequence[Breach], subject: _Subject) -> tuple[list[_Blamed], bool]:
    """Entries that are to blame, by name, and whether these are all but for such as only do what others do too."""
    found: list[_Blamed] = []
    is_complete = True
    for breach in breaches:
        if not breach.entries:
            found.append((None, breach.space))
            continue
        subject.asking(breach.entries)
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
