"""Raw tables that others write, read as rules of a host: none is lost, and nothing is told that is not so."""

from __future__ import annotations

from pathlib import Path as File
from random import Random
from typing import Final

import pytest

from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import RawTables
from ctpolicy.packetspace.fields import Family
from kernel.loaded_rules import Rules
from kernel.near import packets_near
from raw_agreement import assert_no_surer, rules_of

FILES: Final = sorted((File(__file__).parent.parent / "scenarios" / "foreign-iptables").glob("*.rules"))
PACKETS: Final = 1_500
ASK_MORE: Final = (
    "--src-type",
    "--mark",
    "--tcp-flags",
    "--syn",
    "--uid-owner",
    "somebody",
    "-m rpfilter",
    "-m socket",
    "cali40",
)
"""What rules ask that is not modelled."""
_HEADERS: Final = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"


def tables_of(file: File) -> RawTables:
    rules = Rules.of_file(file.read_text())
    listed = {family: f"{_HEADERS}{lines}COMMIT\n" for family, lines in rules.by_family.items() if lines}
    tables = {family: table for family, text in listed.items() if (table := read_raw_table(text, family))}
    return RawTables(tables, read_sets(rules.sets))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_packets_fare_as_in_the_model_of_raw_tables(file: File) -> None:
    tables = tables_of(file)
    assert_no_surer(tables, packets_near((*tables.tables.values(), tables.sets), Random(file.stem), PACKETS))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_rule_of_others_is_a_step(file: File) -> None:
    tables = tables_of(file)
    expected = {
        (family, chain.name, number)
        for family, table in tables.tables.items()
        for chain in table.chains
        for number, rule in enumerate(chain.rules, start=1)
        if rule.target is not None and "-j LOG" not in rule.spelling
    }
    words = {"ip": Family.IPV4, "ip6": Family.IPV6}
    steps = [step for table in rules_of(tables).tables for chain in table.chains.values() for step in chain.steps]
    assert {(words[step.rule.family], step.rule.chain, step.rule.number) for step in steps} >= expected
    for step in steps:
        if not any(word in step.rule.text for word in ASK_MORE):
            assert not step.open, str(step.rule)
