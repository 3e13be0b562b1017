"""Law: the algebra of diagrams is that of sets of points, and equal sets are one object.

Against a model that lists every point of three narrow fields.
"""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.packetspace.diagram import Forest, Node, leaf
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING, count, difference, intersection, union, union_of_boxes

FOREST = Forest((1, 3, 2))
POINTS = list(product(range(2), range(8), range(4)))

Boxes = list[dict[int, IntervalSet]]


def field_values(bits: int) -> st.SearchStrategy[IntervalSet]:
    value = st.integers(0, (1 << bits) - 1)
    return st.lists(st.tuples(value, value).map(lambda ends: (min(ends), max(ends))), max_size=3).map(IntervalSet.of)


BOXES: st.SearchStrategy[Boxes] = st.lists(
    st.fixed_dictionaries({}, optional={0: field_values(1), 1: field_values(3), 2: field_values(2)}), max_size=6
)
MASKS = st.lists(st.integers(0, 3), min_size=len(POINTS), max_size=len(POINTS))


def model(boxes: Boxes) -> set[tuple[int, ...]]:
    return {point for point in POINTS if any(all(point[at] in values for at, values in box.items()) for box in boxes)}


def points(root: Node) -> set[tuple[int, ...]]:
    return {point for point in POINTS if FOREST.value(root, point)}


def of_points(chosen: set[tuple[int, ...]]) -> Node:
    """Point by point, so that nothing is shared with how boxes are built."""
    root = NOTHING
    for point in sorted(chosen):
        box = {level: IntervalSet.single(value) for level, value in enumerate(point)}
        root = union(FOREST, FOREST.box(box, EVERYTHING, NOTHING), root)
    return root


@given(BOXES)
def test_boxes_hold_their_points_and_equal_sets_are_one_object(boxes: Boxes) -> None:
    root = union_of_boxes(FOREST, boxes)
    assert points(root) == model(boxes)
    assert root is of_points(model(boxes))
    assert count(FOREST, root) == len(model(boxes))
    assert (root is NOTHING) == (not model(boxes))
    assert (root is EVERYTHING) == (len(model(boxes)) == len(POINTS))


@given(BOXES, BOXES)
def test_operations_are_those_of_sets(one: Boxes, other: Boxes) -> None:
    left, right = union_of_boxes(FOREST, one), union_of_boxes(FOREST, other)
    assert points(union(FOREST, left, right)) == model(one) | model(other)
    assert points(intersection(FOREST, left, right)) == model(one) & model(other)
    assert points(difference(FOREST, left, right)) == model(one) - model(other)
    assert (difference(FOREST, left, right) is NOTHING) == (model(one) <= model(other))
    assert (left is right) == (model(one) == model(other))


@given(BOXES, BOXES)
def test_complements_are_complements(one: Boxes, other: Boxes) -> None:
    left, right = union_of_boxes(FOREST, one), union_of_boxes(FOREST, other)
    outside = difference(FOREST, EVERYTHING, left)
    assert difference(FOREST, EVERYTHING, outside) is left
    assert union(FOREST, left, outside) is EVERYTHING
    assert intersection(FOREST, outside, right) is difference(FOREST, right, left)


@given(MASKS, MASKS)
def test_functions_of_other_values_are_joined_point_by_point(one: list[int], other: list[int]) -> None:
    def function(values: list[int]) -> Node:
        at = dict(zip(POINTS, values, strict=True))
        return FOREST.node(
            0,
            range(2),
            [
                FOREST.node(
                    1, range(8), [FOREST.node(2, range(4), [leaf(at[a, b, c]) for c in range(4)]) for b in range(8)]
                )
                for a in range(2)
            ],
        )

    def product_of(left: Node, right: Node) -> Node | None:
        return leaf(3 * left.value + right.value) if left.ends == right.ends == () else None

    joined = FOREST.apply(product_of, function(one), function(other))
    assert joined is function([3 * left + right for left, right in zip(one, other, strict=True)])
    assert FOREST.map_leaves(function(one), lambda value: value // 2) is function([value // 2 for value in one])
