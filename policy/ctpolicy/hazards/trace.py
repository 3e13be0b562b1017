"""The way of one packet through every chain of a host, with the rules that it meets: before a plan, and after.

Questions are answered as interpreter.py answers them, and all in one walk: where an answer is not known the packet may
go either way from there on, which is noted, and it is followed further as if it did not hold. So what is told of the
end is all that may become of the packet, and each rule that it may meet is told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.hazards.base_chains import Entrance, entrances
from ctpolicy.hazards.fates import Outcome
from ctpolicy.hazards.interpreter import whether_it_holds
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Action, Decision, Hook, HostRules, Rule, Step, Translation, Use, Verdict
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import ANY_ICMP_TYPE, Truth, View
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet

_ENDS: Final = {Verdict.ACCEPT: Outcome.ACCEPTED, Verdict.DROP: Outcome.DROPPED, Verdict.REJECT: Outcome.REJECTED}
_ICMP: Final = frozenset({PROTOCOL_NUMBERS["icmp"], PROTOCOL_NUMBERS["icmpv6"]})
_ORDER: Final = (Truth.NO, Truth.PERHAPS, Truth.YES)


@dataclass(frozen=True, slots=True)
class Met:
    """A rule that a packet meets, and that holds for it.

    Args:
        rule: it, or a chain's policy.
        says: what it does, in words: `accept`, `jump services`, `sets connection marks`.
        depth: how many chains the packet has been led into.
        is_certain: whether the packet surely comes there, and the rule surely holds.
        open: what it asks that ctpolicy does not model.
    """

    rule: Rule
    says: str
    depth: int
    is_certain: bool
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A base chain.

    Args:
        hook: where the packet comes to it.
        priority: likewise.
        table: its table, in words.
        chain: its name.
        met: the rules, in order; the policy last, if the packet comes to it.
        goes_on: whether the packet goes on from there; PERHAPS if that cannot be told.
    """

    hook: Hook
    priority: int
    table: str
    chain: str
    met: tuple[Met, ...]
    goes_on: Truth


@dataclass(frozen=True, slots=True)
class TracedWay:
    """The way of a packet in one situation.

    Args:
        situation: what conntrack makes of it.
        passages: the base chains that it comes to, in order.
        outcomes: what may become of it, in the order of Outcome; one, if that is certain.
    """

    situation: Situation
    passages: tuple[Passage, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """The ways of one packet.

    Args:
        packet: the packet.
        untracked_before: whether it was untracked before the plan.
        untracked_after: whether it is to be.
        before: its ways before, in each situation that it may have been in.
        after: likewise after.
        unwalked: what is on the host that is not followed.
    """

    packet: Packet
    untracked_before: bool
    untracked_after: bool
    before: tuple[TracedWay, ...]
    after: tuple[TracedWay, ...]
    unwalked: tuple[str, ...]


def trace(host: HostRules, packet: Packet, *, untracked_before: bool, untracked_after: bool) -> Trace:
    """The way of one packet before a plan and after it.

    Args:
        host: its rules.
        packet: the packet.
        untracked_before: whether it was left untracked.
        untracked_after: whether it is to be.
    """
    ways = {situation: traced_way(host, packet, situation) for situation in Situation}
    before = [ways[one] for one in situations(packet, is_untracked=untracked_before, of_bypass=False)]
    after = [ways[one] for one in situations(packet, is_untracked=untracked_after, of_bypass=True)]
    return Trace(packet, untracked_before, untracked_after, tuple(before), tuple(after), host.unwalked)


def situations(packet: Packet, *, is_untracked: bool, of_bypass: bool) -> tuple[Situation, ...]:
    """What a packet may be to conntrack: the first of a flow, an answer, or an ICMP error.

    Args:
        packet: the packet.
        is_untracked: whether it is left untracked itself.
        of_bypass: of ICMP: whether what an error is about may be untracked.
    """
    if is_untracked:
        return (Situation.UNTRACKED,)
    found = (Situation.NEW, Situation.REPLY)
    if packet.protocol not in _ICMP:
        return found
    return (*found, Situation.RELATED, *((Situation.INVALID,) if of_bypass else ()))


def traced_way(
    host: HostRules, packet: Packet, situation: Situation, icmp_types: IntervalSet = ANY_ICMP_TYPE
) -> TracedWay:
    """The way of a packet in one situation."""
    route = Route.of(packet)
    here, outcomes = Truth.YES, set[Outcome]()
    passages: list[Passage] = []
    for hook in route.hooks:
        for entrance in entrances(host, hook, situation):
            if here is not Truth.NO and packet.family in entrance.table.families:
                view = View.at(route, hook, entrance.priority, situation, icmp_types)
                tracer = _Tracer(entrance, packet, view)
                here = tracer.base_chain(here)
                outcomes |= tracer.outcomes
                passages.append(tracer.passage(here))
    if here is not Truth.NO:
        outcomes.add(Outcome.ACCEPTED)
    return TracedWay(situation, tuple(passages), tuple(one for one in Outcome if one in outcomes))


@dataclass(slots=True)
class _Tracer:
    """One base chain: what is met is gathered, and whether the packet is still there is told from chain to chain."""

    entrance: Entrance
    packet: Packet
    view: View
    met: list[Met] = field(default_factory=list)
    outcomes: set[Outcome] = field(default_factory=set)
    accepted: Truth = Truth.NO
    entered: list[str] = field(default_factory=list)

    def base_chain(self, here: Truth) -> Truth:
        """Whether the packet goes on to the next base chain."""
        is_awake = _both(here, Truth.PERHAPS) if self.entrance.table.may_sleep else here
        left = self.chain(self.entrance.chain.name, is_awake)
        if left is not Truth.NO:
            self._meet(self.entrance.base.policy, left)
            self._end(self.entrance.base.policy.action, left)
        asleep = Truth.PERHAPS if self.entrance.table.may_sleep else Truth.NO
        return _either(self.accepted, asleep)

    def chain(self, name: str, here: Truth) -> Truth:
        """Whether the packet comes back to where the chain was called."""
        chain = self.entrance.table.chains.get(name)
        if chain is None or name in self.entered:  # a dump that was cut, or that somebody made
            self.outcomes.add(Outcome.DROPPED)
            self.accepted = _either(self.accepted, Truth.PERHAPS)
            return Truth.PERHAPS
        self.entered.append(name)
        back = Truth.NO
        for step in chain.steps:
            if here is Truth.NO:
                break
            held = whether_it_holds(step, self.packet, self.view)
            if held is not Truth.NO:
                here, returned = self._step(step, here, held)
                back = _either(back, returned)
        self.entered.pop()
        return _either(back, here)

    def _step(self, step: Step, here: Truth, held: Truth) -> tuple[Truth, Truth]:
        """Whether the packet is still in the chain after a step, and whether it has gone back."""
        taken = _both(here, held)
        self._meet(step, taken)
        kept = Truth.NO if held is Truth.YES else Truth.PERHAPS
        match step.action:
            case Use():
                return here, Truth.NO
            case Decision(Verdict.RETURN):
                return kept, taken
            case Decision(Verdict.JUMP, target):
                return _either(kept, self.chain(target, taken)), Truth.NO
            case Decision(Verdict.GOTO, target):
                return kept, self.chain(target, taken)
        self._end(step.action, taken)
        return kept, Truth.NO

    def _meet(self, step: Step, taken: Truth) -> None:
        words = tuple(question.words for question in step.open)
        depth = max(0, len(self.entered) - 1)
        self.met.append(Met(step.rule, _words(step.action), depth, taken is Truth.YES, words))

    def _end(self, action: Action, taken: Truth) -> None:
        match action:
            case Translation():
                self.outcomes.add(Outcome.TRANSLATED)
            case Decision(Verdict.QUEUE):
                self.outcomes.add(Outcome.DROPPED)
                self.accepted = _either(self.accepted, Truth.PERHAPS)
            case Decision(Verdict.ACCEPT):
                self.accepted = _either(self.accepted, taken)
            case Decision(verdict):
                self.outcomes.add(_ENDS[verdict])

    def passage(self, goes_on: Truth) -> Passage:
        """What was met."""
        entrance = self.entrance
        return Passage(
            entrance.base.hook,
            entrance.priority,
            entrance.table.title,
            entrance.chain.name,
            tuple(self.met),
            goes_on,
        )


def _both(one: Truth, other: Truth) -> Truth:
    return min(one, other, key=_ORDER.index)


def _either(one: Truth, other: Truth) -> Truth:
    return max(one, other, key=_ORDER.index)


def _words(action: Action) -> str:
    match action:
        case Use(service):
            return service.value
        case Translation(nat, to, port):
            address = f"[{to}]" if ":" in to and port is not None else to
            where = address if port is None else f"{address}:{port}"
            return f"{nat.value} to {where}" if where else nat.value
        case Decision(verdict, target):
            return f"{verdict.value} {target}".strip()


def joined_outcomes(outcomes: Iterable[Outcome]) -> str:
    """What becomes of a packet, in words: `accepted`, or `accepted or dropped`."""
    return " or ".join(one.value for one in outcomes)
