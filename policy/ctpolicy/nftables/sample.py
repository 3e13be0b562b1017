"""A table of the same structure with few elements: enough to see whether a kernel takes it, and soon loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ctpolicy.nftables.ruleset import Table

_Element = TypeVar("_Element")


def sample(table: Table, most: int) -> Table:
    """The table with at most so many elements, 1 or more, in each of its sets and maps."""
    return replace(
        table,
        sets=tuple(replace(one, elements=_some(one.elements, most)) for one in table.sets),
        maps=tuple(replace(one, elements=_some(one.elements, most)) for one in table.maps),
    )


def _some(elements: Sequence[_Element], most: int) -> tuple[_Element, ...]:
    """Elements from everywhere, not the first: those at the end are wider, or of other chains."""
    return tuple(elements[:: max(1, -(-len(elements) // most))])
