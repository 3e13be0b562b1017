"""Two tables side by side: which rule stands where which one stood, and which elements differ.

Nothing here depends on the packets that are asked about, so that all situations share it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from ctpolicy.nftables.following import Names
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    Element,
    Operand,
    Rule,
    SetReference,
    Table,
    Verdict,
    VerdictLookup,
)
from ctpolicy.nftables.sameness import Contents, Numbers, shape

RulePair = tuple[Rule | None, Rule | None]
"""Rules at one place; None where one table has none there."""

MOST_ALIGNED: Final = 500
"""Rules between the first and the last difference that are aligned one by one: the time is quadratic."""


@dataclass(frozen=True, slots=True)
class ElementPair:
    """The verdicts that two maps have for elements; None where one has none."""

    elements: tuple[Element, ...]
    one: Verdict | None
    other: Verdict | None


class Alignment:
    """Two tables side by side; a table that is not there is an empty one."""

    def __init__(self, one: Table, other: Table) -> None:
        numbers: Numbers = {}
        self.one, self.other = (Contents(Names.of(table), numbers) for table in (one, other))
        self._rules: dict[tuple[str | None, str | None], list[RulePair]] = {}
        self._pairs: dict[tuple[VerdictLookup | None, VerdictLookup | None], list[ElementPair] | None] = {}
        self._elements: dict[tuple[Operand, Operand], Sequence[Element] | None] = {}

    def rules(self, one: str | None, other: str | None) -> list[RulePair]:
        """The rules of two chains that are not the same, in pairs; the rules of one, if the other is None."""
        if (one, other) not in self._rules:
            rules = self._of_chain(self.one, one), self._of_chain(self.other, other)
            self._rules[one, other] = list(self._aligned(*rules))
        return self._rules[one, other]

    def is_cut(self, one: str | None, other: str | None) -> bool:
        """Whether one of two chains is missing in its table: a dump that was cut."""
        return any(
            name is not None and name not in contents.names.chains
            for contents, name in ((self.one, one), (self.other, other))
        )

    def elements(self, one: Operand, other: Operand) -> Sequence[Element] | None:
        """The elements that only one of two operands has; None if rules change one of them, so that nobody knows."""
        if (one, other) not in self._elements:
            found = _elements(self.one.names, one), _elements(self.other.names, other)
            self._elements[one, other] = None if None in found else list(set(found[0] or ()) ^ set(found[1] or ()))
        return self._elements[one, other]

    def operand(self, operand: Operand, is_one: bool) -> Sequence[Element] | None:
        """The elements of an operand of one table or of the other; None if nobody knows."""
        return _elements((self.one if is_one else self.other).names, operand)

    def lookups(self, one: VerdictLookup | None, other: VerdictLookup | None) -> list[ElementPair] | None:
        """The elements for which two lookups have different verdicts; None if rules change one of the maps."""
        if (one, other) not in self._pairs:
            found = _pairs(self.one.names, one), _pairs(self.other.names, other)
            self._pairs[one, other] = (
                None if found[0] is None or found[1] is None else list(self._different(found[0], found[1]))
            )
        return self._pairs[one, other]

    @staticmethod
    def _of_chain(contents: Contents, name: str | None) -> tuple[Rule, ...]:
        found = None if name is None else contents.names.chains.get(name)
        return found.rules if found else ()

    def _aligned(self, one: Sequence[Rule], other: Sequence[Rule]) -> Iterator[RulePair]:
        mine, theirs = list(map(self.one.rule, one)), list(map(self.other.rule, other))
        first = _common(mine, theirs)
        last = _common(mine[first:][::-1], theirs[first:][::-1])
        one, mine = one[first : len(one) - last], mine[first : len(mine) - last]
        other, theirs = other[first : len(other) - last], theirs[first : len(theirs) - last]
        if len(one) + len(other) > MOST_ALIGNED:
            yield from _alone(one, other)
            return
        for word, start, end, other_start, other_end in SequenceMatcher(None, mine, theirs, False).get_opcodes():
            if word != "equal":
                yield from _by_shape(one[start:end], other[other_start:other_end])

    def _different(
        self, one: Iterable[tuple[Element, Verdict]], other: Iterable[tuple[Element, Verdict]]
    ) -> Iterator[ElementPair]:
        mine = {(element, self.one.verdict(verdict)): verdict for element, verdict in one}
        theirs = {(element, self.other.verdict(verdict)): verdict for element, verdict in other}
        of_element: dict[Element, tuple[list[Verdict], list[Verdict]]] = defaultdict(lambda: ([], []))
        for side, (pairs, others) in enumerate(((mine, theirs), (theirs, mine))):
            for key, verdict in pairs.items():
                if key not in others:
                    of_element[key[0]][side].append(verdict)
        alike: dict[tuple[Verdict | None, Verdict | None], list[Element]] = defaultdict(list)
        for element, (left, came) in of_element.items():
            for at in range(max(len(left), len(came))):  # more than one of an element is in no kernel's map
                pair = (left[at] if at < len(left) else None, came[at] if at < len(came) else None)
                alike[pair if len(left) < 2 and len(came) < 2 else (None, None)].append(element)
        for (before, after), elements in alike.items():
            yield ElementPair(tuple(elements), before, after)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many numbers two lists have in common before they differ."""
    differ = (at for at, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs)
    return next(differ, min(len(one), len(other)))


def _by_shape(one: Sequence[Rule], other: Sequence[Rule]) -> Iterator[RulePair]:
    matcher = SequenceMatcher(None, list(map(shape, one)), list(map(shape, other)), False)
    for word, start, end, other_start, other_end in matcher.get_opcodes():
        if word == "equal":
            yield from zip(one[start:end], other[other_start:other_end], strict=True)
        else:
            yield from _alone(one[start:end], other[other_start:other_end])


def _alone(one: Iterable[Rule], other: Iterable[Rule]) -> Iterator[RulePair]:
    yield from ((rule, None) for rule in one)
    yield from ((None, rule) for rule in other)


def _elements(names: Names, operand: Operand) -> Sequence[Element] | None:
    match operand:
        case SetReference(name):
            return names.sets[name].elements if name in names.sets else None
        case AnonymousSet(elements):
            return elements
    return (operand,)


def _pairs(names: Names, lookup: VerdictLookup | None) -> Sequence[tuple[Element, Verdict]] | None:
    match lookup:
        case None:
            return ()
        case VerdictLookup(_, AnonymousMap(elements)):
            return elements
        case VerdictLookup(_, str(name)):
            return names.maps[name].elements if name in names.maps else None
    raise AssertionError(lookup)
