"""Interval partitioning: nothing lost, no overlap within a layer, no more layers than the deepest overlap."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.netfilter.layers import layers
from ctpolicy.packetspace.intervals import Interval

intervals = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.sets(intervals))
def test_layers_are_few_and_apart(given_intervals: set[Interval]) -> None:
    found = layers(given_intervals)
    assert sorted(interval for layer in found for interval in layer) == sorted(given_intervals)
    for layer in found:
        assert all(one[1] < other[0] for one, other in pairwise(layer))
    deepest = max((sum(first <= at <= last for first, last in given_intervals) for at in range(81)), default=0)
    assert len(found) == deepest
