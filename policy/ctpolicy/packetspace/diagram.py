"""Interval decision diagrams: exact functions of a few wide integer fields, with shared nodes.

A set of packets is a function from eight integers (path, family, protocol, ports, interface, addresses) to true or
false. Lists of boxes can hold such a set, but two lists of the same set look different, and a difference of boxes
shatters. Binary decision diagrams (Bryant, Graph-Based Algorithms for Boolean Function Manipulation, IEEE ToC 1986)
are canonical, but spend a node on every bit of an address: a list of 100,000 prefixes becomes two million nodes.
Interval decision diagrams (Strehl and Thiele, Symbolic Model Checking of Process Networks Using Interval Diagram
Techniques, ICCAD 1998) branch on a whole field at once, as a partition of its values into intervals. So a list of
prefixes is one node, a path from the root is a box, and there are no more levels than fields.

What makes it exact and quick:

1. Canonical. A node's intervals cover its field, neighbours differ in where they lead, and a node with a single
   child is that child. Fields come in one order. Equal nodes are one object, by a table of all nodes. So two equal
   functions are the same object, and equality is `is`.
2. Every operation is one walk over pairs of nodes that remembers the pairs it has seen (Bryant's `apply`). Two lists
   of intervals are merged like two sorted lists, so a walk costs as much as the nodes that it meets are wide.
3. Values at the ends may be any integers, not truth values alone: a ruleset is a function from packets to what
   becomes of them, and rules in sequence are one more operation on two such functions.

Nothing here knows what the fields mean.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from ctpolicy.packetspace.intervals import Interval, IntervalSet

_Level = TypeVar("_Level", bound=int)

LEAF: Final = 1 << 16
"""The level of a node that asks nothing: below every field."""


class Node:
    """A function of the fields from its level on. Made by a Forest alone, which keeps equal nodes one object.

    Attributes:
        level: the number of the field that it asks, or LEAF.
        ends: the last value of each interval of the field's partition, ascending; empty for a leaf.
        children: where each interval leads; empty for a leaf.
        value: of a leaf.
    """

    __slots__ = ("__weakref__", "children", "ends", "level", "value")

    def __init__(self, level: int, ends: tuple[int, ...], children: tuple[Node, ...], value: int) -> None:
        self.level = level
        self.ends = ends
        self.children = children
        self.value = value


_LEAVES: Final[dict[int, Node]] = {}


def leaf(value: int) -> Node:
    """The function that is this value everywhere; one for all forests."""
    if value not in _LEAVES:
        _LEAVES[value] = Node(LEAF, (), (), value)
    return _LEAVES[value]


class TooLargeError(Exception):
    """The functions are larger than whoever asked for them has allowed. There is no order of fields that keeps every
    function small (Bryant 1986, section 4)."""


_WIDER: Final = 8
"""How many times as many intervals make one node of a pair much wider than the other."""

_COPIED: Final = 8
"""How many intervals are copied at the cost of one that is looked at."""

Operation = Callable[[Node, Node], "Node | None"]
"""The result for two nodes if it needs no walk below them: always for two leaves, and for as many others as can be
told at a glance; else None."""

_Walk = Callable[[Node, Node], Node]
_Known = dict[tuple[Node, Node], Node]
"""The results of one walk, pair by pair."""


class Forest:
    """All the functions of one list of fields.

    Args:
        bits: the width of each field, in the order in which nodes ask them.
    """

    def __init__(self, bits: Sequence[int]) -> None:
        self.largest: Final = tuple((1 << width) - 1 for width in bits)
        # Weak, so that functions that nobody holds any more leave the table.
        self._nodes: WeakValueDictionary[tuple[int, tuple[int, ...], tuple[Node, ...]], Node] = WeakValueDictionary()
        self._work_left = inf

    @contextmanager
    def bounded(self, work: int) -> Iterator[None]:
        """A limit for what is done inside: so many intervals may be put into nodes.

        Raises:
            TooLargeError: inside, when there are more.
        """
        self._work_left = work
        try:
            yield
        finally:
            self._work_left = inf

    def spend(self, work: int) -> None:
        """Count something else that is done with functions as work, as much as putting so many intervals into nodes.

        Raises:
            TooLargeError: it is more than was allowed.
        """
        self._work_left -= work
        if self._work_left < 0:
            raise TooLargeError

    def node(self, level: int, ends: Iterable[int], children: Iterable[Node]) -> Node:
        """The function that asks one field: `children` where it is up to each of `ends`, of which the last is its
        largest value."""
        kept_ends: list[int] = []
        kept: list[Node] = []
        last: Node | None = None
        for end, child in zip(ends, children, strict=True):
            if child is last:
                kept_ends[-1] = end
            else:
                kept_ends.append(end)
                kept.append(child)
                last = child
        return self._only(level, kept_ends, kept)

    def _only(self, level: int, ends: list[int], children: list[Node]) -> Node:
        """The one node of these intervals, of which no neighbours lead to the same."""
        if len(children) == 1:
            return children[0]
        self.spend(len(children))
        key = (level, tuple(ends), tuple(children))
        found = self._nodes.get(key)
        if found is None:
            found = Node(*key, 0)
            self._nodes[key] = found
        return found

    def case(self, level: int, branches: Iterable[tuple[Interval, Node]], otherwise: Node) -> Node:
        """The function that asks one field and goes on by disjoint intervals of it, in any order."""
        ends: list[int] = []
        children: list[Node] = []
        after = -1
        for (first, last), child in sorted(branches, key=lambda branch: branch[0]):
            if first > after + 1:
                ends.append(first - 1)
                children.append(otherwise)
            ends.append(last)
            children.append(child)
            after = last
        if after < self.largest[level]:
            ends.append(self.largest[level])
            children.append(otherwise)
        return self.node(level, ends, children)

    def box(self, fields: Mapping[_Level, IntervalSet], inside: Node, outside: Node) -> Node:
        """`inside` where each of these fields is in its set, `outside` elsewhere. Neither asks a field before these."""
        result = inside
        for level in sorted(fields, reverse=True):
            result = self.case(level, [(interval, result) for interval in fields[level]], outside)
        return result

    def apply(self, operation: Operation, one: Node, other: Node) -> Node:
        """The function whose value at every point is the operation's on the two values there."""
        known: _Known = {}

        def walk(one: Node, other: Node) -> Node:
            found = operation(one, other)
            if found is None:
                found = self._step(operation, walk, known, one, other)
            known[one, other] = found
            return found

        return walk(one, other)

    def _step(self, operation: Operation, walk: _Walk, known: _Known, one: Node, other: Node) -> Node:
        # Long lists lead to few different nodes, so most pairs are known: asking here first saves two calls for each.
        if one.level < other.level:
            mine = [known.get((child, other)) or walk(child, other) for child in one.children]
            return self.node(one.level, one.ends, mine)
        if other.level < one.level:
            theirs = [known.get((one, child)) or walk(one, child) for child in other.children]
            return self.node(other.level, other.ends, theirs)
        if len(one.ends) > _WIDER * len(other.ends):
            return self._copied(
                lambda few, many: operation(many, few),
                lambda few, many: known.get((many, few)) or walk(many, few),
                *(other, one),
            )
        if len(other.ends) > _WIDER * len(one.ends):
            return self._copied(operation, lambda few, many: known.get((few, many)) or walk(few, many), one, other)
        return self._merged(walk, known, one, other)

    def _copied(self, operation: Operation, walk: _Walk, few: Node, many: Node) -> Node:
        """Two nodes of one level, of which one has few intervals: what it leaves as it is in the other is copied.

        What an operation gives for a child of the one and the whole of the other, it gives for each child of that.
        """
        ends: list[int] = []
        children: list[Node] = []

        def put(until: Sequence[int], new: Sequence[Node]) -> None:
            if children and children[-1] is new[0]:
                ends.pop()
                children.pop()
            ends.extend(until)
            children.extend(new)

        at, copied = 0, 0
        for end, child in zip(few.ends, few.children, strict=True):
            last = bisect_left(many.ends, end, at)
            whole = operation(child, many)
            if whole is many:
                copied += last - at
                put((*many.ends[at:last], end), many.children[at : last + 1])
            elif whole is not None and whole.level > many.level:
                put((end,), (whole,))
            else:
                for until, theirs in zip((*many.ends[at:last], end), many.children[at : last + 1], strict=True):
                    put((until,), (walk(child, theirs),))
            at = last + (many.ends[last] == end)
        self._work_left += copied - copied // _COPIED
        return self._only(many.level, ends, children)

    def _merged(self, walk: _Walk, known: _Known, one: Node, other: Node) -> Node:
        """Two nodes of one level, as two sorted lists are merged."""
        ends: list[int] = []
        children: list[Node] = []
        last: Node | None = None
        one_ends, one_children, other_ends, other_children = one.ends, one.children, other.ends, other.children
        largest = one_ends[-1]
        at, other_at, end = 0, 0, -1
        while end < largest:
            my_end, their_end = one_ends[at], other_ends[other_at]
            pair = (one_children[at], other_children[other_at])
            child = known.get(pair) or walk(*pair)
            if my_end <= their_end:
                end = my_end
                at += 1
                if my_end == their_end:
                    other_at += 1
            else:
                end = their_end
                other_at += 1
            if child is last:
                ends[-1] = end
            else:
                ends.append(end)
                children.append(child)
                last = child
        return self._only(one.level, ends, children)

    def map_leaves(self, root: Node, values: Callable[[int], int]) -> Node:
        """The function with every value put through another."""
        known: dict[Node, Node] = {}

        def walk(node: Node) -> Node:
            if node.level == LEAF:
                known[node] = leaf(values(node.value))
            else:  # as in _step, most children are known
                mapped = [known.get(child) or walk(child) for child in node.children]
                known[node] = self.node(node.level, node.ends, mapped)
            return known[node]

        return walk(root)

    def value(self, root: Node, point: Sequence[int]) -> int:
        """The function's value where the fields are these."""
        node = root
        while node.level != LEAF:
            node = node.children[bisect_left(node.ends, point[node.level])]
        return node.value

    def __len__(self) -> int:
        """How many nodes there are that ask something."""
        return len(self._nodes)


def balanced(join: Callable[[Node, Node], Node], nodes: Sequence[Node], empty: Node) -> Node:
    """Many functions joined pairwise, then those pairwise, and so on: each is walked log n times, not n."""
    layer = list(nodes)
    while len(layer) > 1:
        joined = [join(layer[at], layer[at + 1]) for at in range(0, len(layer) - 1, 2)]
        layer = joined + layer[len(joined) * 2 :]
    return layer[0] if layer else empty
