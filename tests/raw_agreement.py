"""What the rules of a host say of packets in raw tables, held against the model of raw tables alone.

The kernel was asked about that one. It knows the kind of a packet's destination, and so may be surer.
"""

from __future__ import annotations

from collections.abc import Iterable

from ctpolicy.hazards.fates import LOST
from ctpolicy.hazards.interpreter import interpret
from ctpolicy.hazards.rules import HostRules, Service, Step, Use
from ctpolicy.hazards.situations import Situation
from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.render import save_lines
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.space import raw_treatment
from ctpolicy.netfilter import outcomes
from ctpolicy.packetspace.fields import LOOPBACK
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import FOREST, packet_values


def rules_of(tables: RawTables) -> HostRules:
    """Raw tables, by way of their listings."""
    listings = [
        (Variant.LEGACY, family, "\n".join([*save_lines(table, family), ""])) for family, table in tables.tables.items()
    ]
    return host_rules(listings, tables.sets, with_ours=True).rules


def assert_no_surer(tables: RawTables, packets: Iterable[Packet]) -> None:
    """Hold each packet's ways against what may become of it."""
    rules = rules_of(tables)
    treatment = raw_treatment(tables)
    space = treatment.untracked
    may_be_settled = _has_templates(rules)
    for packet in packets:
        if packet.interface == LOOPBACK:
            continue  # meets both chains, of which the other model is about the first
        outcome = FOREST.value(treatment.root, packet_values(packet))
        ways = interpret(rules, packet, Situation.NEW)
        lost = {way.outcome in LOST for way in ways}
        assert lost >= _may_be_lost(outcome), f"{packet}: {lost}"
        if lost == {False} and not may_be_settled:
            noted = {any(map(_says_notrack, way.touched)) for way in ways}
            assert noted != {True} or packet in space.certainly, str(packet)
            assert True in noted or packet not in space.possibly, str(packet)


def _says_notrack(step: Step) -> bool:
    return step.action == Use(Service.NOTRACK)


def _has_templates(rules: HostRules) -> bool:
    """Whether something may be decided before a notrack comes."""
    texts = (step.rule.text for table in rules.tables for chain in table.chains.values() for step in chain.steps)
    return any("-j CT --" in text and "--notrack" not in text for text in texts)


def _may_be_lost(outcome: int) -> set[bool]:
    """Whether packets of an outcome are dropped: yes, no, or both may be."""
    found = {True} if outcome & outcomes.DROP.value else set[bool]()
    return found | ({False} if outcome & ~outcomes.DROP.value else set())
