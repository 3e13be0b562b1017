"""A set as boxes that have nothing in common: every way through its diagram is one.

For what diagrams cannot do with fields as they stand, such as exchanging two of them. There may be many more boxes than
nodes, so whoever asks says how many are too many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ctpolicy.packetspace.diagram import LEAF, Node, TooLargeError
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.sets import NOTHING
from ctpolicy.packetspace.universe import Box, Field


def partition(root: Node, most: int) -> list[Box]:
    """The boxes of a set, apart from each other; a field that may be anything is left out.

    Raises:
        TooLargeError: there are more than so many.
    """
    found: list[Box] = []
    for box in _boxes(root, {}):
        if len(found) == most:
            raise TooLargeError
        found.append(box)
    return found


def _boxes(node: Node, above: Box) -> Iterator[Box]:
    if node.level == LEAF:
        if node is not NOTHING:
            yield above
        return
    branches: dict[Node, list[Interval]] = defaultdict(list)
    first = 0
    for end, child in zip(node.ends, node.children, strict=True):
        branches[child].append((first, end))
        first = end + 1
    for child, intervals in branches.items():
        yield from _boxes(child, {**above, Field(node.level): IntervalSet(tuple(intervals))})
