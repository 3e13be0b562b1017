"""All packets of a space on their way through a host: what may become of them, and which rules decide.

Two ways were weighed. Rules can be composed: each is a function from all packets to what becomes of them, and so is a
chain (netfilter/outcomes.py does that before conntrack). That answers every question at once, and is large: the
function of kube-proxy's chains is about all services, whatever is asked. Or packets can flow: a space goes into a
chain, each step takes from it what it holds for, and what comes out at the end is a partition of the space. That costs
what the space meets. Hazards are asked of few packets (those that a plan newly leaves untracked), and the answer names
rules, of which there are more than a function's leaves are good for. So packets flow.

1. Exact. A step's condition is two sets, of packets for which it certainly holds and of those for which it possibly
   does (views.py). What is between takes both branches, and remembers that it did (doubts.py).
2. Near linear. A step whose values no packet of the start has is passed over by a comparison of intervals. What the
   rest costs is the size of the space that still flows. A chain is followed once for each space that comes to it, and
   what it does is told relative to how one came there.
3. Bounded. Steps that are met, and what is taken over from chain to chain, count as work (packetspace.space.bounded):
   chains that lead to each other in many ways are given up, as sets that have no small diagram are.
4. What leaves a chain: packets that go on in the caller (onward), those whose way has an end, and the steps met.

The kernel's order: hook by hook, base chains by priority. `accept` ends one base chain, `drop` all; the end of a base
chain, and a return in it, is its policy. A goto's chain returns to where the chain that it was said in would. NAT
chains see the first packet of a flow alone, all at one priority (base_chains.py), and what they translate leaves the
walk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from ctpolicy.hazards.base_chains import Entrance, entrances
from ctpolicy.hazards.doubts import SURE, VAGUE, Doubt, Flows, add, joined, merged, taken
from ctpolicy.hazards.fates import Fate, Outcome, Passing, Touch, Walked
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Chain, Decision, HostRules, Step, Table, Translation, Use, Verdict
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.views import ANY_ICMP_TYPE, Holding, Known, View
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.sets import NOTHING, difference, intersection, union
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import FOREST, Box, Field, family_set

_ENDS: Final = {Verdict.ACCEPT: Outcome.ACCEPTED, Verdict.DROP: Outcome.DROPPED, Verdict.REJECT: Outcome.REJECTED}

_End = tuple[Doubt, Outcome, Step]
_Key = TypeVar("_Key")


def walk(
    host: HostRules,
    route: Route,
    situation: Situation,
    space: PacketSpace,
    icmp_types: IntervalSet = ANY_ICMP_TYPE,
    known: Known | None = None,
) -> Walked:
    """What may become of packets.

    Args:
        host: all its rules.
        route: of the packets; those of the space that take another are left out.
        situation: what conntrack makes of them.
        space: the packets.
        icmp_types: that they may have, if they are ICMP.
        known: kept from walk to walk of one host, it saves asking what steps hold for; None for one walk.
    """
    start = space & route.packets
    met = {one: start.values(one) for one in Field}
    way = _Walk(host, route, situation, icmp_types, met, Known() if known is None else known)
    flows: Flows = {SURE: start.root} if start else {}
    for hook in route.hooks:
        for entrance in entrances(host, hook, situation):
            flows = way.enter(entrance, flows)
    passed = (Fate(PacketSpace(node), Outcome.ACCEPTED, None, doubt) for doubt, node in flows.items())
    return Walked(route, situation, start, (*way.fates, *passed), tuple(way.passings), tuple(way.touches))


@dataclass(slots=True)
class _Passage:
    """What a chain, or a step, does to packets: which go on, which have come to an end, and what they met."""

    onward: Flows = field(default_factory=dict)
    ends: dict[_End, Node] = field(default_factory=dict)
    touched: dict[tuple[Doubt, Step], Node] = field(default_factory=dict)

    def end(self, doubt: Doubt, outcome: Outcome, step: Step, space: Node) -> None:
        _put(self.ends, (doubt, outcome, step), space)

    def touch(self, doubt: Doubt, step: Step, space: Node) -> None:
        _put(self.touched, (doubt, step), space)

    def take_over(self, other: _Passage, doubt: Doubt) -> None:
        """What came of a chain that was entered with a doubt, but for what goes on."""
        FOREST.spend(len(other.ends) + len(other.touched))
        for (own, outcome, step), space in other.ends.items():
            self.end(joined(doubt, own), outcome, step, space)
        for (own, step), space in other.touched.items():
            self.touch(joined(doubt, own), step, space)


@dataclass(slots=True)
class _Walk:
    host: HostRules
    route: Route
    situation: Situation
    icmp_types: IntervalSet
    met: Box
    known: Known
    fates: list[Fate] = field(default_factory=list)
    passings: list[Passing] = field(default_factory=list)
    touches: list[Touch] = field(default_factory=list)

    def enter(self, entrance: Entrance, flows: Flows) -> Flows:
        """Through one base chain; what goes on to the next."""
        table, policy = entrance.table, entrance.base.policy
        families = PacketSpace.of_boxes([{Field.FAMILY: family_set(*table.families)}]).root
        view = View.at(self.route, entrance.base.hook, entrance.priority, self.situation, self.icmp_types)
        chains = _Chains(table, view, self.met, self.known)
        onward: Flows = {}
        for doubt, space in flows.items():
            add(onward, doubt, difference(FOREST, space, families))
            inside = intersection(FOREST, space, families)
            if inside is NOTHING:
                continue
            if table.may_sleep:
                add(onward, taken(doubt, policy, held=False), inside)
                doubt = taken(doubt, policy, held=True)
            self._through(chains.through(entrance.chain, inside), policy, doubt, onward)
        return merged(onward)

    def _through(self, passage: _Passage, policy: Step, doubt: Doubt, onward: Flows) -> None:
        assert isinstance(policy.action, Decision)
        by_policy = {(own, _ENDS[policy.action.verdict], policy): space for own, space in passage.onward.items()}
        for (own, outcome, step), space in (passage.ends | by_policy).items():
            both = joined(doubt, own)
            if outcome is Outcome.ACCEPTED:
                add(onward, both, space)
                self.passings.append(Passing(PacketSpace(space), policy, step, both))
            else:
                self.fates.append(Fate(PacketSpace(space), outcome, step, both, policy))
        for (own, step), space in passage.touched.items():
            self.touches.append(Touch(PacketSpace(space), step, joined(doubt, own)))


@dataclass(slots=True)
class _Chains:
    """One table, as the packets of one base chain see it."""

    table: Table
    view: View
    met: Box
    known: Known
    passages: dict[tuple[str, Node], _Passage] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)

    def through(self, chain: Chain, space: Node) -> _Passage:
        """What a chain does to packets that enter it."""
        key = (chain.name, space)
        if key not in self.passages:
            self.entered.add(chain.name)
            self.passages[key] = self._follow(chain, space)
            self.entered.discard(chain.name)
        return self.passages[key]

    def _follow(self, chain: Chain, space: Node) -> _Passage:
        found = _Passage()
        flows: Flows = {SURE: space}
        FOREST.spend(len(chain.steps))
        for step in chain.steps:
            if self.view.is_outside(step, self.met):
                continue
            holding = self.view.holding(step, self.known)
            if holding.possibly is not NOTHING:
                flows = self._take(step, holding, flows, found)
                if not flows:
                    break
        for doubt, left in flows.items():
            add(found.onward, doubt, left)
        found.onward = merged(found.onward)
        return found

    def _take(self, step: Step, holding: Holding, flows: Flows, found: _Passage) -> Flows:
        """One step; the packets that go on to the next."""
        left: Flows = {}
        for doubt, space in flows.items():
            met = intersection(FOREST, space, holding.possibly)
            if met is NOTHING:
                add(left, doubt, space)
                continue
            add(left, doubt, difference(FOREST, space, met))
            sure = intersection(FOREST, met, holding.certainly)
            perhaps = difference(FOREST, met, sure)
            if sure is not NOTHING:
                self._act(step, doubt, sure, found, left)
            if perhaps is not NOTHING:
                if isinstance(step.action, Use):
                    found.touch(taken(doubt, step, held=True), step, perhaps)
                    add(left, doubt, perhaps)
                else:
                    self._act(step, taken(doubt, step, held=True), perhaps, found, left)
                    add(left, taken(doubt, step, held=False), perhaps)
        return merged(left)

    def _act(self, step: Step, doubt: Doubt, space: Node, found: _Passage, left: Flows) -> None:
        match step.action:
            case Use():
                found.touch(doubt, step, space)
                add(left, doubt, space)
            case Translation():
                found.end(doubt, Outcome.TRANSLATED, step, space)
            case Decision(Verdict.JUMP | Verdict.GOTO as verdict, target):
                self._lead(step, target, doubt, space, found, left if verdict is Verdict.JUMP else found.onward)
            case Decision(Verdict.RETURN):
                add(found.onward, doubt, space)
            case Decision(Verdict.QUEUE):
                # No literal of the step: that would say of the one way alone that the step holds.
                for outcome in (Outcome.ACCEPTED, Outcome.DROPPED):
                    found.end(joined(doubt, VAGUE), outcome, step, space)
            case Decision(verdict):
                found.end(doubt, _ENDS[verdict], step, space)

    def _lead(self, step: Step, target: str, doubt: Doubt, space: Node, found: _Passage, after: Flows) -> None:
        """Into another chain. In a dump that was cut, or that somebody made, it may be missing, or lead to itself."""
        chain = self.table.chains.get(target)
        if chain is None or target in self.entered:
            vague = joined(doubt, VAGUE)
            found.end(vague, Outcome.DROPPED, step, space)
            found.end(vague, Outcome.ACCEPTED, step, space)
            add(after, vague, space)
            return
        passage = self.through(chain, space)
        found.take_over(passage, doubt)
        for own, onward in passage.onward.items():
            add(after, joined(doubt, own), onward)


def _put(spaces: dict[_Key, Node], key: _Key, space: Node) -> None:
    found = spaces.get(key)
    spaces[key] = space if found is None else union(FOREST, found, space)
