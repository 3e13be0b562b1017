"""The most frequent of any number of things is found in bounded memory, and how far it may be off is said."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.conntrack.frequent import Frequent, top
from ctpolicy.conntrack.statistics import Row, Tally

THINGS = st.lists(st.integers(0, 30).map(lambda number: b"%d" % (number * number // 30)), max_size=200)


@given(THINGS, st.integers(1, 12))
def test_counts_are_never_too_large_and_too_small_by_no_more_than_is_said(things: list[bytes], most: int) -> None:
    frequent = Frequent()
    for thing in things:
        frequent.counts[thing] += 1
        frequent.shrink(most)
    exact = Counter(things)
    assert len(frequent.counts) <= most
    for thing, number in exact.items():
        assert number - frequent.error <= frequent.counts[thing] <= number
    assert frequent.error <= len(things) // (most + 1)


@given(THINGS, THINGS)
def test_the_top_of_two_counts_is_that_of_both_together(some: list[bytes], others: list[bytes]) -> None:
    told = top((Frequent(Counter(some)), Frequent(Counter(others))), 5, bytes.decode)
    both = Counter(some + others)
    expected = sorted(((number, thing.decode()) for thing, number in both.items()), reverse=True)[:5]
    assert [(one.entries, one.name) for one in told.ranked] == expected
    assert (told.different, told.is_exact) == (len(both), True)


def row(source: int) -> Row:
    return (b"4", b"17", b"", b"%d" % source, b"d", b"1", b"2", b"", b"", b" ", b"", b"", b"")


def test_a_table_of_many_sources_is_counted_in_bounded_memory_and_the_largest_is_found() -> None:
    tally = Tally(most=1000)
    for first in range(0, 50_000, 500):
        tally.add([row(number) for number in range(first, first + 500)] + [row(-1)] * 20)
    assert sum(len(one.counts) for one in (*tally._sources, *tally._destinations)) <= 1000
    told = tally.told(3)
    assert told.total.entries == 52_000
    assert told.sources.ranked[0].name == "-1"
    assert 2000 - told.sources.error <= told.sources.ranked[0].entries <= 2000
    assert not told.sources.is_exact
    assert told.destinations.ranked == (("d", 52_000),)
    assert told.destinations.is_exact


def test_an_ordinary_table_is_counted_exactly() -> None:
    tally = Tally()
    tally.add([row(number % 1000) for number in range(5000)])
    told = tally.told(1)
    assert (told.sources.ranked, told.sources.different, told.sources.error) == ((("999", 5),), 1000, 0)
