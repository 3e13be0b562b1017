"""Raw tables of the same structure with few elements: enough to see whether a kernel takes them, and soon loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ctpolicy.iptables.prefixes import prefixes
from ctpolicy.iptables.ruleset import IpSet, RawTables
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_Element = TypeVar("_Element")


def sample(tables: RawTables, most: int) -> RawTables:
    """The tables with at most so many elements, 1 or more, in each ipset."""
    return replace(tables, sets=tuple(_small(one, most) for one in tables.sets))


def _small(one: IpSet, most: int) -> IpSet:
    values = _some(_elements(one), most)
    live = values if one.live else ()
    return replace(one, values=IntervalSet.of(values), elements=_some(one.elements, most), live=live)


def _elements(one: IpSet) -> Sequence[Interval]:
    """Single ports, or prefixes as ipset takes them."""
    if one.family is None:
        return [(port, port) for first, last in one.values for port in range(first, last + 1)]
    return one.live or tuple(prefixes(one.values, one.family.bits))


def _some(elements: Sequence[_Element], most: int) -> tuple[_Element, ...]:
    """Elements from everywhere: those at the end may be of other kinds than the first."""
    return tuple(elements[:: max(1, -(-len(elements) // most))])
