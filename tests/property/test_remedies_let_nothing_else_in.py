"""Law: whatever a host's rules are, accept rules let in packets that were lost and no others, and help those.

And each packet of each hazard is in a remedy, or in advice.
"""

from __future__ import annotations

from hypothesis import given, settings

from ctpolicy.hazards.accepting import accept_rules
from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.dropping import LOSSES
from ctpolicy.hazards.fates import Outcome, together
from ctpolicy.hazards.remedies import remedies
from ctpolicy.hazards.roles import Roles
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Field, family_set
from host_rules import hosts

UNTRACKED = PacketSpace.of_boxes(
    [
        {Field.PROTOCOL: IntervalSet.single(17), Field.DESTINATION_PORT: IntervalSet.single(53)},
        {Field.PROTOCOL: IntervalSet.single(17), Field.SOURCE_PORT: IntervalSet.single(53)},
        {Field.FAMILY: family_set(Family.IPV4), Field.PROTOCOL: IntervalSet.single(47)},
    ]
)
PASSED = {Outcome.ACCEPTED, Outcome.TRANSLATED}


@settings(max_examples=10)
@given(hosts())
def test_accept_rules_let_in_what_was_lost_and_nothing_else(host: HostRules) -> None:
    hazards = hazards_between(host, UNTRACKED, UNTRACKED)
    lost = together(one.space for one in hazards if one.code in LOSSES)
    accepted = accept_rules(host, UNTRACKED, UNTRACKED, hazards, Roles.unknown())
    nowhere = PacketSpace.of_boxes(
        [{Field.FAMILY: family_set(Family.IPV4), Field.SOURCE: IntervalSet(((127 << 24, (128 << 24) - 1),))}]
    ) | PacketSpace.of_boxes([{Field.FAMILY: family_set(Family.IPV6), Field.SOURCE: IntervalSet.single(1)}])
    for route in Route:
        for situation in Situation:
            space = UNTRACKED & route.packets if situation is Situation.UNTRACKED else route.packets
            before, after = (walk(one, route, situation, space) for one in (host, accepted.host))
            assert after.possibly(PASSED) - before.possibly(PASSED) <= lost | nowhere
    told = [one for remedy in remedies(hazards, host, UNTRACKED, UNTRACKED) for one in remedy.hazards]
    for one in hazards:
        alike = [each.space for each in told if (each.code, each.rule, each.note) == (one.code, one.rule, one.note)]
        assert one.space <= together(alike)
