"""Law: what is accepted before and dropped after is possibly lost; what is certainly lost is not accepted after.

For one packet, whose open questions are answered alike before and after where they do not depend on conntrack.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.hazards.fates import LOST, Outcome, together
from ctpolicy.hazards.interpreter import Way, interpret
from ctpolicy.hazards.losing import losses
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import About, HostRules, Nat, Step, Translation
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from host_rules import hosts, packets

CHANGES = [
    (Situation.NEW, Situation.UNTRACKED),
    (Situation.REPLY, Situation.UNTRACKED),
    (Situation.RELATED, Situation.INVALID),
    (Situation.UNTRACKED, Situation.NEW),
]


def all_steps(host: HostRules) -> list[Step]:
    chains = [chain for table in host.tables for chain in table.chains.values()]
    return [step for chain in chains for step in chain.steps] + [one.base.policy for one in chains if one.base]


def is_answered_alike(step: Step) -> bool:
    """Of marks this law asks no more: whether they are the same is another question."""
    return step.tracking.is_always and all(one.about is not About.ANYTHING for one in step.open)


def is_accepted(way: Way, packet: Packet) -> bool:
    action = way.step.action if way.step else None
    is_masqueraded = isinstance(action, Translation) and action.nat is Nat.MASQUERADE
    own = Route.of(packet) in {Route.OUT, Route.LOOPBACK}
    return way.outcome is Outcome.ACCEPTED or (is_masqueraded and own)


@settings(max_examples=80)
@given(hosts(), packets(), st.sampled_from(CHANGES), st.integers(0, 2**32))
def test_losses_are_what_each_packet_shows(
    host: HostRules, packet: Packet, change: tuple[Situation, Situation], seed: int
) -> None:
    route = Route.of(packet)
    before, after = (walk(host, route, situation, PacketSpace.all()) for situation in change)
    found = list(losses(before, after))
    random = Random(seed)
    for _ in range(4):
        told = {step: random.random() < 0.5 for step in all_steps(host)}
        now = {step: held if is_answered_alike(step) else random.random() < 0.5 for step, held in told.items()}
        ways = interpret(host, packet, change[0], answers=told.__getitem__)
        ways_now = interpret(host, packet, change[1], answers=now.__getitem__)
        if any(is_accepted(one, packet) for one in ways):
            may_be_lost = {loss.step for loss in found if packet in loss.possibly}
            assert {way.step for way in ways_now if way.outcome in LOST} <= may_be_lost
            if any(way.outcome not in LOST for way in ways_now):
                assert packet not in together(loss.certainly for loss in found)
