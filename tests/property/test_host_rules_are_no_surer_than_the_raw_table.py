"""Law: of packets on their way through a raw table, the rules of a host tell nothing that the model of raw tables,
which the kernel was asked about, does not. (That knows a packet's kind of destination, and so is surer.)
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.hazards.fates import LOST
from ctpolicy.hazards.interpreter import interpret
from ctpolicy.hazards.rules import HostRules, Service, Step, Use
from ctpolicy.hazards.situations import Situation
from ctpolicy.iptables.host_rules import host_rules
from ctpolicy.iptables.render import save_lines
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.space import raw_treatment
from ctpolicy.netfilter import outcomes
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import FOREST, packet_values
from kernel.near import packets_near
from raw_rules import ipsets, raw_tables

PACKETS = 40


def of_raw(tables: RawTables) -> HostRules:
    listings = [
        (Variant.LEGACY, family, "\n".join([*save_lines(table, family), ""])) for family, table in tables.tables.items()
    ]
    return host_rules(listings, tables.sets, with_ours=True).rules


def says_notrack(step: Step) -> bool:
    return step.action == Use(Service.NOTRACK)


def has_templates(rules: HostRules) -> bool:
    """Whether something may be decided before a notrack comes."""
    texts = (s.rule.text for table in rules.tables for chain in table.chains.values() for s in chain.steps)
    return any("-j CT --" in text and "--notrack" not in text for text in texts)


@st.composite
def tables_and_sets(draw: st.DrawFn) -> RawTables:
    family = draw(st.sampled_from(Family))
    return RawTables({family: draw(raw_tables(family))}, draw(ipsets(family)))


@settings(max_examples=40)
@given(tables_and_sets(), st.integers(0, 1000))
def test_nothing_is_told_that_is_not_so(tables: RawTables, seed: int) -> None:
    rules = of_raw(tables)
    treatment = raw_treatment(tables)
    near: list[Packet] = packets_near((*tables.tables.values(), tables.sets), Random(seed), PACKETS)
    for packet in near:
        if packet.path is Path.OUT and packet.interface == "lo":
            continue  # meets both chains, of which the raw tables' model is about the first
        outcome = FOREST.value(treatment.root, packet_values(packet))
        ways = interpret(rules, packet, Situation.NEW)
        lost = {way.outcome in LOST for way in ways}
        assert lost >= told_lost(outcome), f"{packet}: {lost}"
        if not has_templates(rules) and lost == {False}:
            noted = {any(map(says_notrack, way.touched)) for way in ways}
            space = treatment.untracked
            assert noted != {True} or packet in space.certainly, str(packet)
            assert True in noted or packet not in space.possibly, str(packet)


def told_lost(outcome: int) -> set[bool]:
    """Whether packets of an outcome are dropped: yes, no, or both may be."""
    found = {True} if outcome & outcomes.DROP.value else set[bool]()
    return found | ({False} if outcome & ~outcomes.DROP.value else set())
