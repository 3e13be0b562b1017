"""Law: an interval set has exactly the members that its intervals have, and one form for each set of members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.packetspace.intervals import Interval, IntervalSet, prefix_length

LIMIT = 40
INTERVALS = st.lists(st.tuples(st.integers(0, LIMIT), st.integers(0, LIMIT)).map(lambda ends: (min(ends), max(ends))))


def members(intervals: list[Interval] | IntervalSet) -> set[int]:
    return {value for first, last in intervals for value in range(first, last + 1)}


@given(INTERVALS)
def test_of_has_the_members_of_its_intervals(intervals: list[Interval]) -> None:
    found = IntervalSet.of(intervals)
    assert members(found) == members(intervals) == {value for value in range(LIMIT + 2) if value in found}
    assert bool(found) == bool(members(intervals))


@given(INTERVALS)
def test_equal_sets_have_one_form(intervals: list[Interval]) -> None:
    assert IntervalSet.of((value, value) for value in members(intervals)) == IntervalSet.of(intervals)


@given(INTERVALS, INTERVALS)
def test_union_and_intersection_are_those_of_sets(one: list[Interval], other: list[Interval]) -> None:
    left, right = IntervalSet.of(one), IntervalSet.of(other)
    assert left | right == IntervalSet.of((value, value) for value in members(one) | members(other))
    assert left & right == IntervalSet.of((value, value) for value in members(one) & members(other))


@given(st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_a_prefix_knows_its_length(length: int, address: int) -> None:
    size = 1 << (32 - length)
    first = address - address % size
    assert prefix_length((first, first + size - 1), 32) == length


@given(st.integers(0, 255), st.integers(0, 255))
def test_only_prefixes_have_a_length(first: int, last: int) -> None:
    first, last = min(first, last), max(first, last)
    prefixes = {(base, base + (1 << width) - 1) for width in range(9) for base in range(0, 256, 1 << width)}
    assert (prefix_length((first, last), 8) is not None) == ((first, last) in prefixes)
