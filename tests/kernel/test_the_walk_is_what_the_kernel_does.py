"""Law: what the walk says is certain of a packet is what the kernel does to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest

from ctpolicy.hazards.fates import LOST, Outcome
from ctpolicy.hazards.interpreter import interpret
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import Decision, HostRules, Step, Verdict
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.nftables.host_rules import host_rules
from ctpolicy.nftables.read import read_text
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from kernel.passing import Passage
from kernel.random_hosts import random_packets, random_ruleset

pytestmark = pytest.mark.kernel

Flows = Callable[[Packet], Packet] | None


def begun_by_it(packet: Packet) -> Packet:
    return packet


def begun_by_its_answer(packet: Packet) -> Packet:
    return packet.reverse()


CASES: dict[Situation, tuple[bool, tuple[int, ...], Flows]] = {
    Situation.UNTRACKED: (True, (1, 6, 17, 47), None),
    Situation.NEW: (False, (6, 17), None),
    Situation.INVALID: (False, (1,), None),  # ICMP messages that nobody asked for
    Situation.ESTABLISHED: (False, (17,), begun_by_it),
    Situation.REPLY: (False, (17,), begun_by_its_answer),
}
"""Whether packets are untracked, of which protocols they are, and what began their flows."""
PACKETS = 60


@pytest.fixture(scope="module")
def passage() -> Iterator[Passage]:
    asked = Passage()
    yield asked
    asked.close()


def said(host: HostRules, packet: Packet, situation: Situation) -> bool | None:
    """Whether the walk says that a packet passes; None if it cannot tell."""
    found = walk(host, Route.of(packet), situation, PacketSpace.of_packet(packet))
    ways = {way.outcome for way in interpret(host, packet, situation)}
    assert ways == {fate.outcome for fate in found.fates}
    if packet in found.certainly({Outcome.ACCEPTED}):
        return True
    return False if packet in found.certainly(LOST) else None


def test_every_packet_passes_where_there_are_no_rules(passage: Passage) -> None:
    for untracked in (True, False):
        passage.load("table inet walked { }", untracked=untracked)
        for situation, (is_untracked, protocols, _) in CASES.items():
            if is_untracked is untracked:
                packets = random_packets(Random(situation.value), 200, protocols)
                lost = [packet for packet, passed in zip(packets, passage.passed(packets), strict=True) if not passed]
                assert lost == []


def answers(
    passage: Passage, seed: int, changed: Callable[[HostRules], HostRules] = lambda host: host
) -> Iterator[tuple[Packet, Situation, bool | None, bool]]:
    """What the walk says of packets under a random ruleset, and what the kernel does."""
    random = Random(seed)
    ruleset = random_ruleset(random)
    for situation, (untracked, protocols, begun) in CASES.items():
        passage.load(ruleset, untracked=untracked)
        host = changed(host_rules(read_text(passage.listing())))
        packets = random_packets(random, PACKETS, protocols)
        flows = [begun(packet) for packet in packets] if begun else []
        for packet, passed in zip(packets, passage.passed(packets, flows), strict=True):
            yield packet, situation, said(host, packet, situation), passed


def check(passage: Passage, seed: int) -> list[bool]:
    """Hold a random ruleset against the kernel; whether each answer was certain."""
    certain = []
    for packet, situation, answer, passed in answers(passage, seed):
        assert answer in {None, passed}, f"seed {seed}: {packet} as {situation.value}"
        certain.append(answer is not None)
    return certain


@pytest.mark.parametrize("seed", range(12))
def test_what_is_certain_is_what_the_kernel_does(passage: Passage, seed: int) -> None:
    check(passage, seed)


@pytest.mark.soak
def test_most_answers_are_certain(passage: Passage) -> None:
    certain = [answer for seed in range(100, 106) for answer in check(passage, seed)]
    assert sum(certain) > 0.8 * len(certain)


def with_jumps_for_gotos(host: HostRules) -> HostRules:
    """What a host would be whose gotos came back."""

    def changed(step: Step) -> Step:
        if step.action == Decision(Verdict.GOTO, getattr(step.action, "target", "")):
            return replace(step, action=replace(step.action, verdict=Verdict.JUMP))
        return step

    tables = []
    for table in host.tables:
        chains = {name: replace(one, steps=tuple(map(changed, one.steps))) for name, one in table.chains.items()}
        tables.append(replace(table, chains=chains))
    return replace(host, tables=tuple(tables))


@pytest.mark.soak
def test_this_law_can_fail(passage: Passage) -> None:
    found = (one for seed in range(12) for one in answers(passage, seed, with_jumps_for_gotos))
    assert any(answer not in {None, passed} for _, _, answer, passed in found)


@pytest.mark.soak
def test_what_is_certain_is_what_the_kernel_does_of_many(passage: Passage) -> None:
    for seed in range(1_000, 1_400):
        check(passage, seed)
