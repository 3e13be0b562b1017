"""A set of packets as its diagram has it: a box for each way from the root to 1.

Few and large boxes (description.py) cost a walk over the whole diagram each. These cost what they are long, and are as
good where the first fields that are asked tell everything apart: ten thousand services, each with a port of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctpolicy.packetspace.diagram import LEAF, Node
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.sets import EVERYTHING
from ctpolicy.packetspace.universe import Box, Field


def branches(root: Node, limit: int) -> list[Box] | None:
    """Boxes of which no two have a packet in common; None if there are more than so many."""
    return list(_boxes(root)) if _count(root, {}) <= limit else None


def first_branch(root: Node) -> Box | None:
    """One of these boxes; None if the set is empty."""
    return next(_boxes(root), None)


def _count(node: Node, known: dict[Node, int]) -> int:
    if node.level == LEAF:
        return int(node is EVERYTHING)
    if node not in known:
        known[node] = sum(_count(child, known) for child in dict.fromkeys(node.children))
    return known[node]


def _boxes(node: Node) -> Iterator[Box]:
    if node.level == LEAF:
        if node is EVERYTHING:
            yield {}
        return
    by_child: dict[Node, list[Interval]] = {}
    first = 0
    for end, child in zip(node.ends, node.children, strict=True):
        by_child.setdefault(child, []).append((first, end))
        first = end + 1
    for child, intervals in by_child.items():
        values = IntervalSet.of(intervals)
        for box in _boxes(child):
            yield {Field(node.level): values, **box}
