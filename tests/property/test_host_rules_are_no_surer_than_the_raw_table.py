"""Law: of packets on their way through a raw table, the rules of a host tell nothing that is not so."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.iptables.ruleset import RawTables
from ctpolicy.packetspace.fields import Family
from kernel.near import packets_near
from raw_agreement import assert_no_surer
from raw_rules import ipsets, raw_tables

PACKETS = 40


@st.composite
def tables_and_sets(draw: st.DrawFn) -> RawTables:
    family = draw(st.sampled_from(Family))
    return RawTables({family: draw(raw_tables(family))}, draw(ipsets(family)))


@settings(max_examples=40)
@given(tables_and_sets(), st.integers(0, 1000))
def test_nothing_is_told_that_is_not_so(tables: RawTables, seed: int) -> None:
    assert_no_surer(tables, packets_near((*tables.tables.values(), tables.sets), Random(seed), PACKETS))
