"""What may become of a packet, and how rules in sequence, chains and jumps put that together.

A rule, a chain and a whole hook are each a function from packets to what may become of them: the packet goes on to
the next rule, returns to where the chain was jumped from, ends its way through the base chain, or is dropped; and, but
for the last, tracked, untracked, or settled: given a conntrack template (iptables' `CT --zone`, `--helper`), after
which the kernel ignores a notrack. Neither is ever taken back and no rule that is modelled asks about it, so it
is enough to know what becomes of a packet that comes in tracked: one that comes in untracked fares the same and is
untracked in the end, and one that comes in settled stays settled.

An outcome is one bit, and a set of outcomes an integer: more than one where a rule asks what ctpolicy does not model.
Such functions are diagrams of packetspace with these integers at their ends. `sequence` is associative, so a chain is
its rules joined in pairs, those in pairs, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ctpolicy.packetspace.diagram import LEAF, Node, balanced, leaf
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING, difference
from ctpolicy.packetspace.universe import FOREST, Field

_NEXT: Final = 1
_RETURN: Final = 8
_END: Final = 64
# These are of tracked packets; the next higher bit of each is of untracked ones, and the next of settled ones.
_EACH: Final = 7
_DROP: Final = 512
_WHILE_TRACKED: Final = _NEXT | _RETURN | _END
_GOES_ON: Final = _NEXT * _EACH

NEXT: Final = leaf(_NEXT)
"""The packet goes on to the next rule as it came: the outcome of a rule that does not match."""
RETURN: Final = leaf(_RETURN)
END: Final = leaf(_END)
DROP: Final = leaf(_DROP)
ANYTHING: Final = leaf((_DROP << 1) - 1)
TRACKED: Final = _NEXT
"""The outcome of a whole hook for a packet that goes on to conntrack."""
UNTRACKED: Final = _NEXT << 1
"""The outcome of a whole hook for a packet that stays out of conntrack."""
_SETTLED: Final = _NEXT << 2
NEVER_TRACKED: Final = UNTRACKED | _DROP
"""The outcomes of a whole hook for packets that do not come to conntrack."""


def sequence(nodes: Sequence[Node]) -> Node:
    """One after the other, each for the packets that go on."""
    return balanced(lambda one, other: FOREST.apply(_then, one, other), nodes, NEXT)


def _then(one: Node, other: Node) -> Node | None:
    if one is NEXT:
        return other
    if other is NEXT or (one.level == LEAF and not one.value & _GOES_ON):
        return one
    if one.level == other.level == LEAF:
        return leaf(_after(one.value, other.value))
    return None


def _after(one: int, other: int) -> int:
    outcomes = one & ~_GOES_ON
    if one & _NEXT:
        outcomes |= other
    if one & _NEXT << 1:
        outcomes |= _untracked(other)
    if one & _SETTLED:
        outcomes |= _settled(other)
    return outcomes


def _places(outcomes: int) -> int:
    """Where packets may be, as if all of them were tracked."""
    return (outcomes | outcomes >> 1 | outcomes >> 2) & _WHILE_TRACKED


def _untracked(outcomes: int) -> int:
    return outcomes & _DROP | _places(outcomes) << 1


def _settled(outcomes: int) -> int:
    return outcomes & _DROP | _places(outcomes) << 2


def marked(node: Node) -> Node:
    """What becomes of packets that `notrack` was said of before."""
    return _changed(node, _untracked)


def settled(node: Node) -> Node:
    """What becomes of packets that were given a conntrack template before."""
    return _changed(node, _settled)


def doubted(node: Node) -> Node:
    """What may become of packets that this may, or may not, apply to."""
    return _changed(node, lambda outcomes: outcomes | _NEXT)


def jumped(node: Node) -> Node:
    """A chain as its caller sees it after a jump: its end and its returns go on with the caller's next rule."""
    return _changed(node, lambda outcomes: outcomes & ~(_RETURN * _EACH) | (outcomes & _RETURN * _EACH) // _RETURN)


def gone_to(node: Node) -> Node:
    """A chain as its caller sees it after a goto: its end and its returns leave the caller too."""
    return _changed(node, lambda outcomes: outcomes & ~_GOES_ON | (outcomes & _GOES_ON) * _RETURN)


def entered(node: Node, drops: bool) -> Node:
    """A base chain as the hook sees it: what ends, returns or comes to its end, which its policy decides, goes on."""

    def seen(outcomes: int) -> int:
        passed = (outcomes & _END * _EACH) // _END
        undecided = outcomes & _GOES_ON | (outcomes & _RETURN * _EACH) // _RETURN
        policy = (_DROP if undecided else 0) if drops else undecided
        return passed | policy | outcomes & _DROP

    return _changed(node, seen)


def _changed(node: Node, change: Callable[[int], int]) -> Node:
    return leaf(change(node.value)) if node.level == LEAF else FOREST.map_leaves(node, change)


def choose(field: Field, branches: Iterable[tuple[IntervalSet, Node]], otherwise: Node) -> Node:
    """What becomes of packets by the value of one field. The sets have no value in common."""
    chosen = list(branches)
    if all(child.level > field for _, child in chosen) and otherwise.level > field:
        return FOREST.case(field, [(interval, child) for values, child in chosen for interval in values], otherwise)
    known = IntervalSet.of(interval for values, _ in chosen for interval in values)
    rest = known.complement(FOREST.largest[field].bit_length())
    return any_of(_only(field, values, child) for values, child in [*chosen, (rest, otherwise)])


def where(condition: Node, inside: Node, outside: Node) -> Node:
    """What becomes of packets by whether they are in a set."""
    chosen = FOREST.apply(_where, condition, inside)
    return any_of([chosen, FOREST.apply(_where, difference(FOREST, EVERYTHING, condition), outside)])


def _only(field: Field, values: IntervalSet, node: Node) -> Node:
    """The function where the field has these values; elsewhere no outcome at all."""
    return FOREST.apply(_where, FOREST.box({field: values}, EVERYTHING, NOTHING), node)


def _where(condition: Node, node: Node) -> Node | None:
    if condition is NOTHING or node is NOTHING:
        return NOTHING
    return node if condition is EVERYTHING else None


def any_of(nodes: Iterable[Node]) -> Node:
    """All that may become of a packet if any of these may be what happens."""
    return balanced(lambda one, other: FOREST.apply(_or, one, other), list(nodes), NOTHING)


def _or(one: Node, other: Node) -> Node | None:
    if one is other or other is NOTHING:
        return one
    if one is NOTHING:
        return other
    return leaf(one.value | other.value) if one.level == other.level == LEAF else None
