"""What two readings of a table are shown as: the rows, and the lines of plain text."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final

import pytest

from conntrack.fake_facts import FakeFacts
from conntrack.fake_table import FakeTable
from conntrack.test_sample import entry
from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.conntrack.sample import Sample, take_sample
from ctpolicy.conntrack.top import MOST_ENTRIES, Reading, Talker, view
from ctpolicy.conntrack.top_reading import Reader
from ctpolicy.conntrack.top_report import bar, lines, number
from ctpolicy.errors import HostError
from ctpolicy.netfilter.backend import Counted
from ctpolicy.packetspace.fields import Family

FACTS: Final = TableFacts(True, 3, 100, 64, statistics=Statistics(drop=10, early_drop=4))
FIRST: Final = Reading(
    10.0,
    FACTS,
    take_sample(FakeTable([entry(1), entry(2), entry(3, "192.0.2.9")])),
    (Counted("dns", "bypass", 100, 5000), Counted("vxlan", "bypass", 1000, 90_000), Counted("ssh", "track", 5, 300)),
)
SECOND: Final = Reading(
    12.0,
    replace(FACTS, entries=5, statistics=Statistics(drop=30, early_drop=4)),
    take_sample(FakeTable([entry(1), entry(2), entry(3, "192.0.2.9"), entry(4), entry(5)])),
    (Counted("dns", "bypass", 300, 15_000), Counted("vxlan", "bypass", 1010, 91_000), Counted("ssh", "track", 5, 300)),
)


def test_of_the_first_reading_there_are_no_rates() -> None:
    shown = view(None, FIRST)
    assert (shown.new, shown.counted) == (None, None)
    assert [(rate.name, rate.packets) for rate in shown.entries] == [("dns", None), ("vxlan", None), ("ssh", None)]
    assert shown.facts.fill == 0.03


def test_rates_are_of_a_second() -> None:
    shown = view(FIRST, SECOND)
    assert shown.new == 1.0
    assert shown.counted is not None
    assert (shown.counted["drop"], shown.counted["early_drop"]) == (10.0, 0.0)
    assert [(rate.name, rate.role, rate.packets, rate.bytes) for rate in shown.entries] == [
        ("dns", "bypass", 100.0, 5000.0),
        ("vxlan", "bypass", 5.0, 500.0),
        ("ssh", "track", 0.0, 0.0),
    ]


def test_the_top_sources_are_those_with_most_entries() -> None:
    assert view(FIRST, SECOND).talkers == (
        Talker(IPv4Address("192.0.2.1"), 4, 0.8),
        Talker(IPv4Address("192.0.2.9"), 1, 0.2),
    )
    assert len(view(FIRST, SECOND, most_talkers=1).talkers) == 1


def test_numbers_of_a_sample_are_scaled_to_the_table() -> None:
    """2 of 4 entries that were looked at are new, of a table of 1000, in two seconds."""
    keys = take_sample(FakeTable([entry(1), entry(2), entry(3), entry(4)])).keys
    sources = {(Family.IPV4, 1): 1, (Family.IPV6, 2): 3}
    before = replace(FIRST, facts=replace(FACTS, entries=1000), sample=Sample(keys[2:], {}, is_whole=False))
    now = replace(SECOND, facts=replace(FACTS, entries=1000), sample=Sample(keys, sources, is_whole=False))
    shown = view(before, now)
    assert shown.new == 250.0
    assert shown.sampled == 4
    assert shown.talkers == (Talker(IPv6Address(2), 750, 0.75), Talker(IPv4Address(1), 250, 0.25))


def test_a_counter_that_began_again_counts_from_nothing() -> None:
    again = replace(SECOND, counted=(Counted("dns", "bypass", 20, 1000),))
    (rate,) = view(FIRST, again).entries
    assert (rate.packets, rate.bytes) == (10.0, 500.0)


def test_an_entry_that_was_not_there_before_has_no_rate_yet() -> None:
    more = replace(SECOND, counted=(*(SECOND.counted or ()), Counted("new", "bypass", 7, 8)))
    assert [rate.packets for rate in view(FIRST, more).entries if rate.name == "new"] == [None]


def test_two_readings_at_one_time_are_no_division_by_zero() -> None:
    assert view(FIRST, replace(SECOND, at=FIRST.at)).new is None


def test_of_many_policy_entries_those_that_count_most_are_shown() -> None:
    many = tuple(Counted(f"entry-{at}", "bypass", 0, 0) for at in range(MOST_ENTRIES + 5))
    busy = tuple(replace(one, packets=at) for at, one in enumerate(many))
    shown = view(replace(FIRST, counted=many), replace(SECOND, counted=busy))
    assert shown.more_entries == 5
    assert shown.entries[0].name == f"entry-{MOST_ENTRIES + 4}"
    assert "... and 5 more policy entries, which count less" in list(lines(shown))


def test_lines_of_plain_text() -> None:
    assert list(lines(view(FIRST, SECOND))) == [
        "5 of 100 entries, 5.0%  [##............................]",
        "new/s 1  drops/s 10  early drops/s 0  insert failures/s 0",
        "",
        "source     entries  share",
        "192.0.2.1        4  80.0%",
        "192.0.2.9        1  20.0%",
        "",
        "policy entry  role    packets/s  bytes/s",
        "dns           bypass        100    5,000",
        "vxlan         bypass          5      500",
        "ssh           track           0        0",
    ]


def test_what_is_estimated_is_marked() -> None:
    part = Sample((SECOND.sample or Sample()).keys, {}, is_whole=False)
    assert "new/s ~" in list(lines(view(FIRST, replace(SECOND, sample=part))))[1]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (TableFacts(False), "conntrack is not loaded: no rule uses it, and there are no entries"),
        (TableFacts(True, 7, 0), "7 entries, as many as there is memory for"),
        (TableFacts(True), "? entries"),
    ],
)
def test_a_table_of_which_little_is_known(facts: TableFacts, line: str) -> None:
    assert next(lines(view(None, Reading(1.0, facts)))) == line


@pytest.mark.parametrize(
    ("fill", "shown"),
    [(0, "...."), (0.001, "#..."), (0.5, "##.."), (0.999, "###."), (1, "####"), (1.5, "####")],
)
def test_a_bar_is_full_only_if_the_table_is(fill: float, shown: str) -> None:
    assert bar(fill, 4) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((None, "?"), (0.0, "0"), (0.04, "0"), (0.44, "0.4"), (37.4, "37"), (9999.0, "9,999"), (10_000.0, "10.0k")),
        *((999_949.0, "999.9k"), (999_951.0, "1.0M"), (2.5e9, "2.5G"), (1e21, "1000000.0P")),
    ],
)
def test_a_rate_in_few_characters(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_what_cannot_be_read_does_not_keep_the_rest_from_being_shown() -> None:
    def refused() -> tuple[Counted, ...]:
        raise HostError("There is no nft here.")

    reading = Reader(FakeFacts(FACTS), FakeTable([entry(1)]), refused).read()
    shown = list(lines(view(None, reading)))
    assert "not read: There is no nft here." in shown
    assert "192.0.2.1        1  100.0%" in shown
    assert reading.counted is None
