"""Law: what the walk says of all packets at once is what the interpreter says of each."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.hazards.fates import LOST, Outcome, Walked
from ctpolicy.hazards.interpreter import Way, interpret
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules, Step
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from host_rules import hosts, packets

_ICMP_TYPES = st.sampled_from([IntervalSet.full(8), IntervalSet.single(3), IntervalSet.single(8)])


def walked(host: HostRules, route: Route, situation: Situation, types: IntervalSet) -> Walked:
    return walk(host, route, situation, PacketSpace.all(), types)


def check(found: Walked, packet: Packet, ways: frozenset[Way]) -> None:
    fates = {(fate.outcome, fate.step) for fate in found.fates if packet in fate.space}
    assert fates == {(way.outcome, way.step) for way in ways}
    passings = {(one.base, one.step) for one in found.passings if packet in one.space}
    assert passings == {one for way in ways for one in way.accepted}
    touches = [one for one in found.touches if packet in one.space]
    assert {one.step for one in touches} == {step for way in ways for step in way.touched}
    assert {one.step for one in touches if not one.doubt} <= frozenset.intersection(*(way.touched for way in ways))
    for outcomes in (LOST, {Outcome.ACCEPTED}, {Outcome.TRANSLATED}):
        assert (packet in found.certainly(outcomes)) == all(way.outcome in outcomes for way in ways)
        assert (packet in found.possibly(outcomes)) == any(way.outcome in outcomes for way in ways)
    if len(fates) > 1:
        assert all(fate.doubt for fate in found.fates if packet in fate.space)


@settings(max_examples=150)
@given(hosts(), st.lists(packets(), min_size=6, max_size=6), st.sampled_from(Situation), _ICMP_TYPES)
def test_walk_is_what_each_packet_meets(
    host: HostRules, some: list[Packet], situation: Situation, types: IntervalSet
) -> None:
    by_route = {route: walked(host, route, situation, types) for route in {Route.of(packet) for packet in some}}
    for packet in some:
        check(by_route[Route.of(packet)], packet, interpret(host, packet, situation, types))


@settings(max_examples=100)
@given(hosts(), packets(), st.sampled_from(Situation), _ICMP_TYPES)
def test_walk_of_one_packet_is_the_same(
    host: HostRules, packet: Packet, situation: Situation, types: IntervalSet
) -> None:
    found = walk(host, Route.of(packet), situation, PacketSpace.of_packet(packet), types)
    check(found, packet, interpret(host, packet, situation, types))


@settings(max_examples=150)
@given(hosts(), packets(), st.sampled_from(Situation), st.randoms(use_true_random=False))
def test_doubts_say_what_must_be_so(host: HostRules, packet: Packet, situation: Situation, random: Random) -> None:
    steps = [step for table in host.tables for chain in table.chains.values() for step in chain.steps]
    steps += [chain.base.policy for table in host.tables for chain in table.chains.values() if chain.base]
    told = {step: random.random() < 0.5 for step in steps}
    found = walk(host, Route.of(packet), situation, PacketSpace.all())
    for way in interpret(host, packet, situation, answers=lambda step: told[step]):
        assert any(
            packet in fate.space and (fate.outcome, fate.step) == (way.outcome, way.step) and _is_so(fate.doubt, told)
            for fate in found.fates
        )


def _is_so(doubt: frozenset[tuple[Step | None, bool]], told: dict[Step, bool]) -> bool:
    return all(step is None or told[step] is held for step, held in doubt)


@given(hosts(), st.sampled_from(Route), st.sampled_from(Situation))
@settings(max_examples=60)
def test_every_packet_has_a_fate(host: HostRules, route: Route, situation: Situation) -> None:
    found = walk(host, route, situation, PacketSpace.all())
    assert found.possibly(Outcome) == route.packets == found.start
