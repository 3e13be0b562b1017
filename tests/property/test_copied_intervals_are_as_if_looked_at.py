"""Law: of a node with many intervals and one with few, an operation makes what it makes of each point."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.packetspace.diagram import LEAF, Forest, Node, Operation, leaf

BITS = (6, 3)
POINTS = list(product(range(1 << BITS[0]), range(1 << BITS[1])))


def leaves(operation: dict[tuple[int, int], int]) -> Operation:
    """Of values at the ends, with no glance at whole functions; or with one, for values that leave the other alone."""

    def apply(one: Node, other: Node) -> Node | None:
        if one.level == LEAF and other.level == LEAF:
            return leaf(operation[one.value, other.value])
        for mine, kept in ((one, other), (other, one)):
            if mine.level == LEAF:
                pairs = [(mine.value, each) if mine is one else (each, mine.value) for each in range(3)]
                made = [operation[pair] for pair in pairs]
                if made == [0, 1, 2]:
                    return kept
                if len(set(made)) == 1:
                    return leaf(made[0])
        return None

    return apply


def node(forest: Forest, ends: set[int], values: list[int]) -> Node:
    """A function of both fields, that has a new value after each of these."""
    bounds = sorted(ends | {63})
    below = [
        forest.node(1, (value, 7), (leaf(values[(at + value) % len(values)] % 3), leaf(value % 3)))
        if value < 6
        else leaf(value % 3)
        for at, value in enumerate((values * len(bounds))[: len(bounds)])
    ]
    return forest.node(0, bounds, below)


@settings(max_examples=300)
@given(
    st.sets(st.integers(0, 62), min_size=30),
    st.sets(st.integers(0, 62), max_size=2),
    st.lists(st.integers(0, 8), min_size=2, max_size=7),
    st.lists(st.integers(0, 8), min_size=1, max_size=3),
    st.tuples(*[st.integers(0, 2)] * 6),
    st.sampled_from([(0, 1, 2), (0, 0, 0), (1, 1, 1), (2, 0, 1)]),
    st.booleans(),
)
def test_copied_intervals_are_as_if_looked_at(
    many: set[int],
    few: set[int],
    values: list[int],
    others: list[int],
    rest: tuple[int, ...],
    first: tuple[int, int, int],
    is_first: bool,
) -> None:
    forest = Forest(BITS)
    wide, narrow = node(forest, many, values), node(forest, few, others)
    made = (*first, *rest)
    operation = {pair: made[at] for at, pair in enumerate(product(range(3), range(3)))}
    if not is_first:
        operation = {(other, one): value for (one, other), value in operation.items()}
    one, other = (narrow, wide) if is_first else (wide, narrow)
    found = forest.apply(leaves(operation), one, other)
    assert all(
        forest.value(found, point) == operation[forest.value(one, point), forest.value(other, point)]
        for point in POINTS
    )
    assert found is forest.apply(lambda mine, theirs: plain(operation, mine, theirs), one, other), "it is canonical"


def plain(operation: dict[tuple[int, int], int], one: Node, other: Node) -> Node | None:
    """Without a glance, nothing is copied."""
    return leaf(operation[one.value, other.value]) if one.level == LEAF and other.level == LEAF else None
