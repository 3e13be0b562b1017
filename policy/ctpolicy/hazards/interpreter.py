"""One packet, in one situation, step by step: the reference that the walk is held against.

It shares the form of the rules with the walk, and what can be told of a packet at a hook (views.py), but no sets of
packets: a question is answered by looking at one packet's values. Where an answer is not known both ways are taken, so
what comes out is a set of ways. That may be exponentially many: it is meant for rulesets of a few rules, and for
following one packet with few open questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.hazards.base_chains import entrances
from ctpolicy.hazards.fates import Outcome
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Asked, Decision, HostRules, Step, Table, Translation, Use, Verdict, Within
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import ANY_ICMP_TYPE, Truth, View
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import Field, packet_values


@dataclass(frozen=True, slots=True)
class Way:
    """One way that a packet may go.

    Args:
        outcome: what becomes of it; None while it is under way.
        step: the one that decided; None for what has passed every hook.
        accepted: each base chain that accepted it, by its policy step, and the step that did.
        touched: the steps with a Use that it met.
    """

    outcome: Outcome | None = None
    step: Step | None = None
    accepted: tuple[tuple[Step, Step], ...] = ()
    touched: frozenset[Step] = frozenset()


Ways = frozenset[Way]

_NO_TABLE: Final = Table("", frozenset())

_ENDS: Final = {Verdict.ACCEPT: Outcome.ACCEPTED, Verdict.DROP: Outcome.DROPPED, Verdict.REJECT: Outcome.REJECTED}


def interpret(
    host: HostRules,
    packet: Packet,
    situation: Situation,
    icmp_types: IntervalSet = ANY_ICMP_TYPE,
    answers: Callable[[Step], bool] | None = None,
) -> Ways:
    """All ways that a packet may go through a host; one, if no open question matters to it.

    Args:
        host: all its rules.
        packet: the packet.
        situation: what conntrack makes of it.
        icmp_types: that it may have, if it is ICMP.
        answers: whether a step holds that may hold or not (for a policy, whether its table is awake); without it, both.
    """
    route = Route.of(packet)
    ways: Ways = frozenset({Way()})
    for hook in route.hooks:
        for entrance in entrances(host, hook, situation):
            if packet.family in entrance.table.families:
                view = View.at(route, hook, entrance.priority, situation, icmp_types)
                through = _Interpreter(entrance.table, packet, view, answers).base_chain(entrance.chain.name)
                if entrance.table.may_sleep and answers is None:
                    through |= {Way()}
                elif entrance.table.may_sleep and answers is not None and not answers(entrance.base.policy):
                    through = frozenset({Way()})
                ways = _after(ways, through)
    return frozenset(replace(way, outcome=way.outcome or Outcome.ACCEPTED) for way in ways)


def whether_it_holds(step: Step, packet: Packet, view: View) -> Truth:
    """Whether a step holds for a packet at a hook, as far as that can be told."""
    return _Interpreter(_NO_TABLE, packet, view, None).holds(step)


def _after(ways: Ways, others: Iterable[Way]) -> Ways:
    """Those under way go one of the other ways, too."""
    found = {way for way in ways if way.outcome is not None}
    for way in ways - found:
        for other in others:
            together = way.touched | other.touched
            found.add(replace(other, accepted=way.accepted + other.accepted, touched=together))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Interpreter:
    table: Table
    packet: Packet
    view: View
    answers: Callable[[Step], bool] | None

    def base_chain(self, name: str) -> Ways:
        """The ways through a base chain: on, if it accepts, and if it comes to its end and the policy does."""
        base = self.table.chains[name].base
        assert base is not None
        found = set()
        for way in self.chain(name):
            step = way.step
            if way.outcome is None:
                step = base.policy
                assert isinstance(step.action, Decision)
                way = replace(way, outcome=_ENDS[step.action.verdict], step=step)
            if way.outcome is Outcome.ACCEPTED:
                assert step is not None
                way = replace(way, outcome=None, step=None, accepted=((base.policy, step),))
            found.add(way)
        return frozenset(found)

    def chain(self, name: str) -> Ways:
        """The ways through a chain; those that return, or come to its end, are under way."""
        ways: Ways = frozenset({Way()})
        returned: set[Way] = set()
        for step in self.table.chains[name].steps:
            held = self.holds(step)
            if held is not Truth.NO:
                acted = self._act(step)
                if isinstance(step.action, Decision) and step.action.verdict in {Verdict.RETURN, Verdict.GOTO}:
                    left = _after(ways, acted)
                    returned |= left
                    ways = ways if held is Truth.PERHAPS else frozenset()
                else:
                    ways = _after(ways, acted | {Way()} if held is Truth.PERHAPS else acted)
        return ways | returned

    def _act(self, step: Step) -> Ways:
        match step.action:
            case Use():
                return frozenset({Way(touched=frozenset({step}))})
            case Translation():
                return frozenset({Way(Outcome.TRANSLATED, step)})
            case Decision(Verdict.JUMP | Verdict.GOTO, target):
                if target not in self.table.chains:  # a dump that was cut
                    return frozenset({Way(), Way(Outcome.ACCEPTED, step), Way(Outcome.DROPPED, step)})
                return self.chain(target)
            case Decision(Verdict.RETURN):
                return frozenset({Way()})
            case Decision(Verdict.QUEUE):
                return frozenset({Way(Outcome.ACCEPTED, step), Way(Outcome.DROPPED, step)})
            case Decision(verdict):
                return frozenset({Way(_ENDS[verdict], step)})

    def holds(self, step: Step) -> Truth:
        """Whether a step holds for the packet."""
        truths = {self.view.tracking(step), *map(self._is_within, step.fields)}
        if Truth.NO in truths:
            return Truth.NO
        if not step.open and Truth.PERHAPS not in truths:
            return Truth.YES
        if self.answers is None:
            return Truth.PERHAPS
        return Truth.YES if self.answers(step) else Truth.NO

    def _is_within(self, question: Within) -> Truth:
        truths = set()
        for box in question.boxes:
            parts = {self._has(asked, values) for asked, values in box.items()}
            truths.add(next((one for one in (Truth.NO, Truth.PERHAPS) if one in parts), Truth.YES))
        found = next((one for one in (Truth.YES, Truth.PERHAPS) if one in truths), Truth.NO)
        if not question.negated:
            return found
        return {Truth.YES: Truth.NO, Truth.NO: Truth.YES, Truth.PERHAPS: Truth.PERHAPS}[found]

    def _has(self, asked: Asked, values: IntervalSet) -> Truth:
        """Whether one thing asked has one of these values."""
        answer = self.view.answer(asked)
        if isinstance(answer, Field):
            is_port = asked in {Asked.SOURCE_PORT, Asked.DESTINATION_PORT}
            if is_port and self.packet.protocol not in PROTOCOLS_WITH_PORTS:
                return Truth.PERHAPS
            return Truth.YES if packet_values(self.packet)[answer] in values else Truth.NO
        shared = answer & values
        return Truth.YES if shared == answer else Truth.PERHAPS if shared else Truth.NO
