"""A set of packets in few boxes, as people would say it.

A diagram's own paths from the root are boxes too, but thousands, cut wherever some level had to ask. So: take a packet
of what is still to be said, and widen the box around it field by field to all the values for which it stays inside
the set, whether said before or not; then go on with what no box holds. Each field's values are found in one walk over
the diagram: on levels above the field, the values that all branches of the box have in common; below, whether
everything in the box is inside (an AND, each node asked once). Greedy, as covers by prime implicants are found
(Quine, The Problem of Simplifying Truth Functions, 1952): each box is as large as it can be, but there may be a cover
with fewer.

What no host can meet counts as inside, so that a field may be anything where that is all that would not be. Any other
field then keeps the values that a packet of the box can have: the box says nothing that is not so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

from ctpolicy.packetspace import sets
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.diagram import LEAF, Node
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.universe import FOREST, REAL_PACKETS, Box, Field
from ctpolicy.packetspace.witness import some_point

_WIDENED: Final = (
    Field.SOURCE_PORT,
    Field.DESTINATION_PORT,
    Field.INTERFACE,
    Field.DESTINATION,
    Field.SOURCE,
    Field.PROTOCOL,
    Field.PATH,
    Field.FAMILY,
)
"""The fields in the order in which they are widened: what says least comes first."""

_FULL: Final = tuple(IntervalSet(((0, largest),)) for largest in FOREST.largest)
_NONE: Final = IntervalSet()


@dataclass(frozen=True, slots=True)
class Description:
    """Boxes in a set; they may overlap.

    Args:
        boxes: none holds a packet that is not in the set. A field that may be anything is left out.
        is_complete: whether every packet of the set is in one of them.
    """

    boxes: tuple[Box, ...]
    is_complete: bool

    def __str__(self) -> str:
        lines = [box_text(box) for box in self.boxes]
        return "\n".join(lines if self.is_complete else [*lines, "and more"]) or "nothing"


def describe(root: Node, limit: int, within: Node | None = None) -> Description:
    """At most so many boxes of a set of real packets; they hold nothing else, or nothing but what is `within`."""
    inside = root if within is None else sets.union(FOREST, root, within)
    allowed = _allowed(inside)
    left = root
    boxes: list[Box] = []
    while left is not sets.NOTHING and len(boxes) < limit:
        box = _around(some_point(left), allowed)
        boxes.append(_limits(box))
        left = sets.difference(FOREST, left, _diagram(box))
    return Description(tuple(boxes), left is sets.NOTHING)


def _allowed(root: Node) -> Node:
    return sets.union(FOREST, root, sets.difference(FOREST, sets.EVERYTHING, REAL_PACKETS))


def _limits(box: Sequence[IntervalSet]) -> Box:
    return {field: box[field] for field in Field if box[field] != _FULL[field]}


def _around(point: Sequence[int], allowed: Node) -> list[IntervalSet]:
    """The box around a point, each field as wide as it can be."""
    box = [IntervalSet.single(value) for value in point]
    for field in _WIDENED:
        # The integers of an address mean one thing in one family: only a box of all addresses is of both.
        addresses_are_any = all(box[field] == _FULL[field] for field in (Field.SOURCE, Field.DESTINATION))
        if field is not Field.FAMILY or addresses_are_any:
            box[field] = _Widening(box, field).values(allowed)
            box[field] = _met_by_hosts(box, field)
    return box


def _met_by_hosts(box: Sequence[IntervalSet], field: Field) -> IntervalSet:
    """The field's values but for those with which no host can meet a packet of the box; any value stays any."""
    if box[field] == _FULL[field] and field is not Field.PATH:
        return _FULL[field]
    return box[field] & _shadow(REAL_PACKETS, box, field)


def _diagram(box: Sequence[IntervalSet]) -> Node:
    return FOREST.box(dict(zip(Field, box, strict=True)), sets.EVERYTHING, sets.NOTHING)


class _Widening:
    """The search for the values that one field of a box may have, the others being as they are."""

    def __init__(self, box: Sequence[IntervalSet], field: Field) -> None:
        self._box = box
        self._field = field
        self._values: dict[Node, IntervalSet] = {}
        self._inside: dict[Node, bool] = {}

    def values(self, node: Node) -> IntervalSet:
        """The field's values for which all of the box is inside."""
        if node.level > self._field:
            return _FULL[self._field] if self._is_inside(node) else _NONE
        if node not in self._values:
            self._values[node] = self._at(node) if node.level == self._field else self._above(node)
        return self._values[node]

    def _at(self, node: Node) -> IntervalSet:
        return _leading_to(node, {child for child in set(node.children) if self._is_inside(child)})

    def _above(self, node: Node) -> IntervalSet:
        """What all the branches have in common: what none of them leaves out, so that many are joined at once."""
        found: set[IntervalSet] = set()
        for child in _met(node, self._box[node.level]):
            values = self.values(child)
            if not values:
                return _NONE
            found.add(values)
        if len(found) == 1:  # as mostly; of 100,000 prefixes the rest would take a third of a plan
            return found.pop()
        bits = FOREST.largest[self._field].bit_length()
        left_out = [interval for values in found for interval in values.complement(bits)]
        return IntervalSet.of(left_out).complement(bits)

    def _is_inside(self, node: Node) -> bool:
        if node.level == LEAF:
            return node is sets.EVERYTHING
        if node not in self._inside:
            self._inside[node] = all(self._is_inside(child) for child in _met(node, self._box[node.level]))
        return self._inside[node]


def _met(node: Node, values: IntervalSet) -> Iterable[Node]:
    """Where a node leads for any of these values, each child once.

    The shorter of the two lists is walked: a box of 10,000 intervals meets 10,000 nodes that have a few each.
    """
    if len(values) > len(node.ends):
        return _met_by_few(node, values)
    found: dict[Node, None] = {}
    at = 0
    for first, last in values:
        at = bisect_left(node.ends, first, at)
        found[node.children[at]] = None
        while node.ends[at] < last:
            at += 1
            found[node.children[at]] = None
    return found


def _met_by_few(node: Node, values: IntervalSet) -> Iterable[Node]:
    found: dict[Node, None] = {}
    first = 0
    for end, child in zip(node.ends, node.children, strict=True):
        if child not in found and values.meets((first, end)):
            found[child] = None
        first = end + 1
    return found


def _leading_to(node: Node, children: Set[Node]) -> IntervalSet:
    """The values for which a node leads to one of these children."""
    found: list[Interval] = []
    first = 0
    for end, child in zip(node.ends, node.children, strict=True):
        if child in children:
            found.append((first, end))
        first = end + 1
    return IntervalSet.of(found)


def values_of(root: Node, field: Field) -> IntervalSet:
    """The values of a field that the points of a set have."""
    return _shadow(root, _FULL, field)


def _shadow(root: Node, box: Sequence[IntervalSet], field: Field) -> IntervalSet:
    """The values of a field that the points of a set have whose other fields are in the box."""
    known: dict[Node, IntervalSet] = {}

    def walk(node: Node) -> IntervalSet:
        if node.level == LEAF:
            return _FULL[field] if node is sets.EVERYTHING else _NONE
        if node not in known:
            known[node] = at(node) if node.level == field else IntervalSet.of(met(node))
        return known[node]

    def met(node: Node) -> Iterator[Interval]:
        for child in _met(node, box[node.level]):
            yield from walk(child)

    def at(node: Node) -> IntervalSet:
        return _leading_to(node, {child for child in set(node.children) if walk(child)})

    return walk(root)
