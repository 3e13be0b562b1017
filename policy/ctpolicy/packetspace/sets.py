"""Diagrams whose values are 0 and 1: sets of points. Union, intersection, difference, count, and the union of boxes."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from math import prod
from typing import Final, TypeVar

from ctpolicy.packetspace.diagram import LEAF, Forest, Node, balanced, leaf
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_Level = TypeVar("_Level", bound=int)

NOTHING: Final = leaf(0)
EVERYTHING: Final = leaf(1)


def union(forest: Forest, one: Node, other: Node) -> Node:
    """The points of either."""
    return forest.apply(_either, one, other)


def intersection(forest: Forest, one: Node, other: Node) -> Node:
    """The points of both."""
    return forest.apply(_both, one, other)


def difference(forest: Forest, one: Node, other: Node) -> Node:
    """The points of the one that the other has not."""
    return forest.apply(_first_alone, one, other)


def _either(one: Node, other: Node) -> Node | None:
    if one is other or other is NOTHING or one is EVERYTHING:
        return one
    return other if one is NOTHING or other is EVERYTHING else None


def _both(one: Node, other: Node) -> Node | None:
    if one is other or other is EVERYTHING or one is NOTHING:
        return one
    return other if one is EVERYTHING or other is NOTHING else None


def _first_alone(one: Node, other: Node) -> Node | None:
    if one is other or one is NOTHING or other is EVERYTHING:
        return NOTHING
    return one if other is NOTHING else None


def part(forest: Forest, root: Node, box: Mapping[_Level, IntervalSet]) -> Node:
    """The points of a set that are in a box.

    As the intersection with the box, but only those branches are looked at that the box leads to: of a set with
    10,000 ports, a box with one port costs one, where a walk over pairs costs 10,000.
    """
    wanted: dict[int, IntervalSet] = {int(level): values for level, values in box.items()}
    last = max(wanted, default=-1)
    known: dict[tuple[Node, int], Node] = {}

    def walk(node: Node, level: int) -> Node:
        if node is NOTHING or level > last:
            return node
        if (node, level) not in known:
            known[node, level] = chosen(node, level) if level in wanted else every(node, level)
        return known[node, level]

    def every(node: Node, level: int) -> Node:
        if node.level > level:
            return walk(node, level + 1)
        return forest.node(level, node.ends, [walk(child, level + 1) for child in node.children])

    def chosen(node: Node, level: int) -> Node:
        if node.level > level:
            below = walk(node, level + 1)
            return forest.case(level, [(interval, below) for interval in wanted[level]], NOTHING)
        met = ((overlap, walk(child, level + 1)) for overlap, child in _overlaps(node, wanted[level]))
        return forest.case(level, met, NOTHING)

    return walk(root, 0)


def _overlaps(node: Node, values: IntervalSet) -> Iterator[tuple[Interval, Node]]:
    """Where a node leads for these values."""
    for first, last in values:
        start = first
        for at in range(bisect_left(node.ends, first), len(node.ends)):
            yield (start, min(node.ends[at], last)), node.children[at]
            start = node.ends[at] + 1
            if start > last:
                break


def projection(forest: Forest, root: Node, levels: Container[int]) -> Node:
    """The points that have a point of the set like them but for these fields."""
    known: dict[Node, Node] = {}

    def walk(node: Node) -> Node:
        if node.level == LEAF:
            return node
        if node not in known:
            below = list(map(walk, node.children))
            if node.level in levels:
                distinct = list(dict.fromkeys(below))
                known[node] = balanced(lambda one, other: union(forest, one, other), distinct, NOTHING)
            else:
                known[node] = forest.node(node.level, node.ends, below)
        return known[node]

    return walk(root)


def is_larger_than(root: Node, nodes: int) -> bool:
    """Whether a function has more nodes than this."""
    met, ahead = {root}, [root]
    while ahead and len(met) <= nodes:
        new = set(ahead.pop().children) - met
        met |= new
        ahead += new
    return len(met) > nodes


def count(forest: Forest, root: Node) -> int:
    """How many points there are."""
    sizes = [largest + 1 for largest in forest.largest]
    known: dict[Node, int] = {}

    def below(node: Node, level: int) -> int:
        """How many there are of the fields from this level on."""
        if node.level == LEAF:
            return node.value * prod(sizes[level:])
        if node not in known:
            firsts = (0, *(end + 1 for end in node.ends))
            known[node] = sum(
                (end + 1 - first) * below(child, node.level + 1)
                for first, end, child in zip(firsts, node.ends, node.children, strict=False)
            )
        return known[node] * prod(sizes[level : node.level])

    return below(root, 0)


_Tail = tuple[IntervalSet | None, ...]
"""What a box wants of the fields from some level on; None for a field that may be anything."""


def union_of_boxes(forest: Forest, boxes: Iterable[Mapping[_Level, IntervalSet]]) -> Node:
    """The points in any of these boxes; a field that a box does not have may be anything.

    Not box by box: those that differ in one field alone, and most do, become one node at once.
    """
    fulls = [IntervalSet(((0, largest),)) for largest in forest.largest]
    by_rest: dict[_Tail, list[IntervalSet]] = {}
    for box in boxes:
        given: Mapping[int, IntervalSet] = {int(level): values for level, values in box.items()}
        if all(given.values()):
            first, *rest = (given.get(level, full) for level, full in enumerate(fulls))
            asked = (None if values == full else values for values, full in zip(rest, fulls[1:], strict=True))
            by_rest.setdefault(tuple(asked), []).append(first)
    # What differs in its first field alone is one box: the same packets on every path, nearly always.
    firsts = [IntervalSet.of(interval for values in alike for interval in values) for alike in by_rest.values()]
    wanted = (None if first == fulls[0] else first for first in firsts)
    return _union_of_tails(forest, 0, [(first, *rest) for first, rest in zip(wanted, by_rest, strict=True)])


def _union_of_tails(forest: Forest, level: int, tails: Sequence[_Tail]) -> Node:
    if not tails:
        return NOTHING
    if level == len(forest.largest):
        return EVERYTHING
    if len(tails) == 1:
        wanted = {level + at: values for at, values in enumerate(tails[0]) if values is not None}
        return forest.box(wanted, EVERYTHING, NOTHING)
    by_values: dict[IntervalSet | None, list[_Tail]] = defaultdict(list)
    for values, *rest in tails:
        by_values[values].append(tuple(rest))
    nodes = [_union_of_tails(forest, level + 1, by_values.pop(None, []))]
    branches = [(values, _union_of_tails(forest, level + 1, rest)) for values, rest in by_values.items() if values]
    for layer in _layers(branches):
        cases = [(interval, child) for values, child in layer for interval in values]
        nodes.append(forest.case(level, cases, NOTHING))
    return balanced(lambda one, other: union(forest, one, other), nodes, NOTHING)


_Branch = tuple[IntervalSet, Node]


def _layers(branches: Iterable[_Branch]) -> list[list[_Branch]]:
    """Branches in layers, in each of which one ends before the next begins."""
    found: list[list[_Branch]] = []
    ended: list[tuple[int, int]] = []
    for branch in sorted(branches, key=lambda branch: branch[0].intervals[0]):
        first, last = branch[0].intervals[0][0], branch[0].intervals[-1][1]
        if ended and ended[0][0] < first:
            layer = heappop(ended)[1]
        else:
            layer = len(found)
            found.append([])
        found[layer].append(branch)
        heappush(ended, (last, layer))
    return found
