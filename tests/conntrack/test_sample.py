"""A sample costs little however large the table is, and tells how many entries are new."""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Final

import pytest

from conntrack.fake_table import FakeTable
from ctpolicy.conntrack.entry import Entry, Status, Tuple
from ctpolicy.conntrack.sample import Sample, take_sample
from ctpolicy.packetspace.fields import Family

_UDP: Final = 17


def entry(number: int, source: str = "192.0.2.1") -> Entry:
    """The entry of one flow; another number is another flow."""
    here, there = int(IPv4Address(source)), int(IPv4Address("198.51.100.1"))
    one = Tuple(here, there, _UDP, number % 65536, 53)
    return Entry(Family.IPV4, one, Tuple(there, here, _UDP, 53, number % 65536), Status.CONFIRMED, number)


def sample(numbers: Iterable[int], is_whole: bool = True) -> Sample:
    keys = tuple((one.id, one.original) for one in map(entry, numbers))
    return Sample(keys, {}, is_whole)


def test_a_small_table_is_its_own_sample() -> None:
    table = FakeTable([entry(1), entry(2), entry(3, "192.0.2.9")])
    found = take_sample(table)
    assert found.is_whole
    assert len(found.keys) == 3
    assert sorted(found.sources.values()) == [1, 2]


def test_of_a_large_table_no_more_is_read_than_asked_for() -> None:
    table = FakeTable([entry(number) for number in range(1000)], seconds_an_entry=1.0)
    began = table.seconds()
    found = take_sample(table, most=100, seconds=10_000)
    assert not found.is_whole
    assert len(found.keys) == 100
    assert table.seconds() - began == 101  # one more, to see that there is


def test_a_table_of_exactly_as_many_as_are_asked_for_is_whole() -> None:
    assert take_sample(FakeTable([entry(number) for number in range(100)]), most=100).is_whole


def test_a_slow_table_is_left_when_the_time_is_over() -> None:
    table = FakeTable([entry(number) for number in range(100_000)], seconds_an_entry=0.001)
    began = table.seconds()
    found = take_sample(table, seconds=2)
    assert not found.is_whole
    assert 2 <= table.seconds() - began < 3


def test_new_entries_of_a_whole_table_are_counted() -> None:
    assert sample(range(10)).new_since(sample(range(10))) == 0
    assert sample(range(10)).new_since(sample(range(5))) == 0.5
    assert sample(range(5)).new_since(sample(range(10))) == 0, "entries that went are not new"
    assert sample([]).new_since(sample([])) == 0
    assert sample(range(5)).new_since(sample([])) == 1


def test_of_parts_only_what_both_have_read_is_compared() -> None:
    """Of the second reading, 4 and 5 lie behind the last entry that both have: they may be old ones."""
    before = sample([1, 2, 3], is_whole=False)
    now = sample([1, 10, 3, 4, 5], is_whole=False)
    assert now.new_since(before) == pytest.approx(1 / 3)


def test_parts_that_have_nothing_in_common_tell_nothing() -> None:
    assert sample([4, 5, 6], is_whole=False).new_since(sample([1, 2, 3], is_whole=False)) is None


def test_an_entry_in_anothers_place_is_new() -> None:
    """The kernel's id alone may come again, when an entry is made where another was in memory."""
    again = entry(1, "192.0.2.77")._replace(id=7)
    first = entry(1)._replace(id=7)
    before = Sample(((first.id, first.original),))
    assert Sample(((again.id, again.original),)).new_since(before) == 1


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_the_estimate_from_a_part_is_near_what_is(share: float) -> None:
    """A table of 20,000 entries in the order of hash buckets, of which some go and others come, in random places."""
    chance = random.Random(7)
    old = list(range(20_000))
    new = [one if chance.random() > share else one + 100_000 for one in old]
    new_share = sum(one >= 100_000 for one in new) / len(new)
    before, now = sample(old[:2000], is_whole=False), sample(new[:2000], is_whole=False)
    estimated = now.new_since(before)
    assert estimated is not None
    assert estimated == pytest.approx(new_share, rel=0.25)
