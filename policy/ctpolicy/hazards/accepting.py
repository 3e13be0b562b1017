"""Accept rules for what is dropped now, each walked before it is offered.

A rule is put into the host's rules at a place, and packets are walked again. It is good if what was dropped there is
not any more, and if nothing passes that is not among the packets of the hazard: else the next place is tried. What is
let through here may be dropped by the next base chain. So this is done in rounds, each with the hazards that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ctpolicy.hazards.admission import FROM_LOOPBACK, Admissions, admissions
from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.commands import Commands, commands
from ctpolicy.hazards.dropping import LOSSES, NEEDED, Drop, drops, needed_types
from ctpolicy.hazards.fates import LOST, Fate, Outcome, Walked, together
from ctpolicy.hazards.firewalld import firewalld_policy
from ctpolicy.hazards.hazard import Hazard
from ctpolicy.hazards.losing import usually_accepted
from ctpolicy.hazards.placing import Place, places, with_steps
from ctpolicy.hazards.remedy import Kind, Remedy
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import About, Hook, HostRules, Rule
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import ANY_ICMP_TYPE
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace

MOST_ROUNDS: Final = 4
MOST_RULES: Final = 32
"""Live rules that drop, for which accept rules are looked for."""

_OTHERS: Final = {Family.IPV4: (11, 12), Family.IPV6: (1, 3, 4)}
"""Other errors, which are accepted too if they were before."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What accept rules help.

    Args:
        remedies: the rules.
        host: the host with them.
        left: what drops still, with no rule that helps.
        hazards: those that there are with the rules, of the same packets.
    """

    remedies: tuple[Remedy, ...]
    host: HostRules
    left: tuple[Drop, ...]
    hazards: tuple[Hazard, ...]


def accept_rules(host: HostRules, newly: PacketSpace, untracked: PacketSpace, hazards: Sequence[Hazard]) -> Accepted:
    """Accept rules for as many hazards as they can help."""
    trial = _Trial(host, newly, untracked)
    found = list(hazards)
    asked = together(one.space for one in hazards if one.code in LOSSES)
    for _ in range(MOST_ROUNDS):
        if not trial.take(drops(host, found, untracked)):
            break
        found = [one for one in hazards_between(trial.host, newly, untracked) if one.space & asked]
    return Accepted(tuple(trial.remedies), trial.host, tuple(trial.left), tuple(found))


@dataclass(slots=True)
class _Trial:
    host: HostRules
    newly: PacketSpace
    untracked: PacketSpace
    remedies: list[Remedy] = field(default_factory=list)
    left: list[Drop] = field(default_factory=list)
    seen: set[tuple[Rule, Hook, Situation, Family | None]] = field(default_factory=set)
    passing: dict[Route, PacketSpace] = field(default_factory=dict)
    lost: dict[Situation, PacketSpace] = field(default_factory=dict)
    helping: list[tuple[Hook, Situation, str, str]] = field(default_factory=list)

    def take(self, found: Sequence[Drop]) -> bool:
        """Look for a rule for each; whether there was one."""
        number = len(self.remedies)
        self._note(found)
        for drop in found:
            key = (drop.rule, drop.hook, drop.situation, drop.family)
            if key not in self.seen:
                self.seen.add(key)
                if not self._is_helped_by_another(drop):
                    self._look(drop)
        return len(self.remedies) > number

    def _note(self, found: Iterable[Drop]) -> None:
        """All that is lost may be accepted by any rule, whichever of several drops it is for."""
        for drop in found:
            self.lost[drop.situation] = self.lost.get(drop.situation, PacketSpace.none()) | drop.space

    def _is_helped_by_another(self, drop: Drop) -> bool:
        """Whether what was put in already helps; the remedy is then one for this, too."""
        if not self._helps(drop, drop.space, self.host):
            return False
        for at in reversed(range(len(self.remedies))):
            if self.helping[at] == (drop.hook, drop.situation, drop.rule.tool, drop.rule.table):
                remedy = self.remedies[at]
                more = tuple(one for one in drop.hazards if one not in remedy.hazards)
                self.remedies[at] = replace(remedy, hazards=remedy.hazards + more)
                return True
        return False

    def _look(self, drop: Drop) -> None:
        remedy = self._remedy(drop) if len(self.seen) <= MOST_RULES else None
        if remedy is None:
            self.left.append(drop)
        else:
            self.remedies.append(remedy)
            self.helping.append((drop.hook, drop.situation, drop.rule.tool, drop.rule.table))

    def _remedy(self, drop: Drop) -> Remedy | None:
        """The rule at the first place that is good; it stays in the host."""
        label = f"ctpolicy-remedy-{len(self.remedies) + 1}"
        for admitted in self._admitted(drop):
            for place in places(self.host, drop.rule, drop.hook) if admitted.each else ():
                told = commands(place, admitted.each, label)
                changed = self._changed(place, admitted)
                if told and self._is_good(drop, admitted, changed):
                    lasting = (*told.lasting, *self._by_firewalld(drop, admitted, place))
                    self.host = changed
                    return _offered(drop, admitted, place, replace(told, lasting=lasting))
        return None

    def _by_firewalld(self, drop: Drop, admitted: Admissions, place: Place) -> tuple[str, ...]:
        found = firewalld_policy(self.host, place, admitted)
        return found.lines if found and self._helps(drop, drop.space & admitted.space, found.host) else ()

    def _admitted(self, drop: Drop) -> Iterator[Admissions]:
        """What may be accepted: in the fewest words, with all that is lost at the hook; and this drop's alone."""
        types = self._types(drop)
        within = FROM_LOOPBACK
        if drop.situation is Situation.UNTRACKED:
            within |= self._passing(drop.hook)
        for more in (within | self.lost[drop.situation], within):
            yield admissions(drop.space, more, drop.hook, drop.situation, types)

    def _is_good(self, drop: Drop, admitted: Admissions, changed: HostRules) -> bool:
        helps = self._helps(drop, drop.space & admitted.space, changed)
        return helps and not self._opens(drop, admitted, changed)

    def _passing(self, hook: Hook) -> PacketSpace:
        """Packets that pass untracked as it is, but for odd ones."""
        found = PacketSpace.none()
        for route in _routes(hook):
            if route not in self.passing:
                walked = walk(self.host, route, Situation.UNTRACKED, self.untracked & route.packets)
                self.passing[route] = usually_accepted(walked)
            found |= self.passing[route]
        return found

    def _changed(self, place: Place, admitted: Admissions) -> HostRules:
        like = place.like
        rule = Rule("accept", like.tool, like.family, like.table, place.chain)
        return with_steps(self.host, place, tuple(one.step(rule) for one in admitted.each))

    def _helps(self, drop: Drop, packets: PacketSpace, changed: HostRules) -> bool:
        """Whether the rule drops nothing more of these packets."""
        types = needed_types(drop)
        for route in _routes(drop.hook):
            space = packets & route.packets
            after = walk(changed, route, drop.situation, space, types)
            if any(fate.step and fate.step.rule == drop.rule and self._is_at(fate, drop) for fate in after.of(LOST)):
                return False
        return True

    def _is_at(self, fate: Fate, drop: Drop) -> bool:
        """Whether a fate was decided at the hook of a drop."""
        chains = (chain for table in self.host.tables for chain in table.chains.values())
        return any(one.base and one.base.policy is fate.base and one.base.hook is drop.hook for one in chains)

    def _opens(self, drop: Drop, admitted: Admissions, changed: HostRules) -> bool:
        """Whether other packets pass than those of the hazard."""
        space = admitted.space - self.lost[drop.situation] - FROM_LOOPBACK
        types = self._types(drop) or ANY_ICMP_TYPE
        if drop.situation is Situation.UNTRACKED:
            space &= self.untracked
        for route in Route:
            if space & route.packets:
                before, after = (walk(one, route, drop.situation, space, types) for one in (self.host, changed))
                passed = {Outcome.ACCEPTED, Outcome.TRANSLATED}
                if after.possibly(passed) - before.possibly(passed):
                    return True
        return self._passes_by(drop, admitted, changed)

    def _passes_by(self, drop: Drop, admitted: Admissions, changed: HostRules) -> bool:
        """Whether packets are spared a rule that drops by what changes: a limit, a list that programs fill."""
        types = needed_types(drop)
        for route in _routes(drop.hook):
            space = admitted.space & drop.space & route.packets
            before, after = (walk(one, route, drop.situation, space, types) for one in (self.host, changed))
            if _changing(before) - _changing(after):
                return True
        return False

    def _types(self, drop: Drop) -> IntervalSet:
        """Of ICMP errors: the types that were accepted as related."""
        if drop.family is None:
            return IntervalSet()
        found = list(NEEDED[drop.family])
        for one in _OTHERS[drop.family]:
            walked = [
                (route, walk(self.host, route, Situation.RELATED, drop.space, IntervalSet.single(one)))
                for route in _routes(drop.hook)
            ]
            if all(drop.space & route.packets <= way.certainly({Outcome.ACCEPTED}) for route, way in walked):
                found.append(one)
        return IntervalSet.of((one, one) for one in found)


def _changing(walked: Walked) -> set[Rule]:
    """The rules that drop packets or not, for reasons of the moment."""
    return {
        fate.step.rule
        for fate in walked.of(LOST)
        if fate.step is not None and any(question.about is About.ANYTHING for question in fate.step.open)
    }


def _routes(hook: Hook) -> list[Route]:
    return [route for route in Route if hook in route.hooks]


def _offered(drop: Drop, admitted: Admissions, place: Place, told: Commands) -> Remedy:
    notes = () if admitted.is_complete else ("Not all of the packets: they take more rules than are offered here.",)
    return Remedy(
        Kind.ACCEPT,
        drop.hazards,
        told.do,
        told.undo,
        str(place),
        told.lasting,
        notes=notes,
        is_complete=admitted.is_complete,
    )
