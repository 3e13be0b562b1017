"""Where two tables may differ: packets outside of it take the same steps through both.

A change is nearly always small, and following every packet through both tables costs as much as the tables are
large. So the tables are first laid side by side (alignment.py), and each difference in their rules is turned into the
packets that could notice it: those of an element that came or went, those that a rule's matches let through. A rule
that stands in both tables is followed into the chains that it leads to. Two goals pull apart here, to be quick and to
find few packets; what must hold is only that no packet is left out, so wherever it would be long to say which packets
notice a difference, more of them are taken, or all. Then both tables are followed, for these packets alone, and the
answer about them is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Final

from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.situations import Situation
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.nftables.alignment import Alignment
from ctpolicy.nftables.conditions import (
    Absent,
    Asked,
    Known,
    Unanswered,
    asked,
    field_values,
    holds,
    membership,
)
from ctpolicy.nftables.following import base_chains, hook_outcomes_within
from ctpolicy.nftables.ruleset import (
    Element,
    Match,
    Notrack,
    Rule,
    Statement,
    Table,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
)
from ctpolicy.nftables.sameness import Contents, effective
from ctpolicy.nftables.space import is_met, treatment_by_situation
from ctpolicy.packetspace.diagram import Node, balanced
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING, difference, intersection, union
from ctpolicy.packetspace.universe import FOREST, Field

MOST_FOLLOWED: Final = 256
"""Pairs of verdicts in one map that are followed into the chains that they lead to; of more, all packets are taken."""


def treatments_where_they_differ(one: Table, other: Table) -> tuple[Treatment, Treatment]:
    """What two tables do to the packets that they may treat differently; all others, both let through as they come.

    So whatever other tables do besides, the two treatments differ where the whole tables' differ, and in the same.
    """
    alignment = Alignment(one, other)
    regions: dict[Situation, Node] = {}
    same: dict[Situation, dict[Hashable, Node]] = {}

    def region(situation: Situation) -> Node:
        if situation not in regions:
            met = {is_met(table, situation.family) for table in (one, other)}
            regions[situation] = EVERYTHING if len(met) > 1 else _Comparison(alignment, situation).hooks()
        return regions[situation]

    def within(contents: Contents) -> Callable[[Situation], Node]:
        names = contents.names

        def followed(situation: Situation) -> Node:
            noticed = region(situation) if is_met(names.table, situation.family) else NOTHING
            if noticed is NOTHING:
                return outcomes.NEXT
            chains = same.setdefault(situation, {})
            node = hook_outcomes_within(names, situation, noticed, contents.chain, chains)
            return outcomes.where(noticed, node, outcomes.NEXT)

        return followed

    before = treatment_by_situation((one, other), within(alignment.one))
    return before, treatment_by_situation((one, other), within(alignment.other))


class _Comparison:
    """The packets of one situation that may notice that two tables differ."""

    def __init__(self, alignment: Alignment, situation: Situation) -> None:
        self._alignment = alignment
        self._situation = situation
        self._chains: dict[tuple[str | None, str | None], Node] = {}

    def hooks(self) -> Node:
        """Those that notice it anywhere before conntrack."""
        one, other = (
            {
                (chain.priority, chain.name, chain.drops, contents.names.may_sleep): chain
                for chain in base_chains(contents.names, self._situation.path)
            }
            for contents in (self._alignment.one, self._alignment.other)
        )
        found = [self.chains(key[1], key[1]) for key in one.keys() & other.keys()]
        found += [EVERYTHING if key[2] else self.chains(key[1], None) for key in one.keys() - other.keys()]
        found += [EVERYTHING if key[2] else self.chains(None, key[1]) for key in other.keys() - one.keys()]
        return _any(found)

    def chains(self, one: str | None, other: str | None) -> Node:
        """Those that fare otherwise in one chain than in the other; a chain that is not there lets all packets by."""
        if (one, other) not in self._chains:
            self._chains[one, other] = EVERYTHING  # for a chain that leads to itself, which the kernel refuses
            self._chains[one, other] = self._compared(one, other)
        return self._chains[one, other]

    def _compared(self, one: str | None, other: str | None) -> Node:
        contents, others = self._alignment.one, self._alignment.other
        if one is not None and other is not None and contents.chain(one) == others.chain(other):
            return NOTHING
        if self._alignment.is_cut(one, other):
            return EVERYTHING
        return _any(self._rules(mine, theirs) for mine, theirs in self._alignment.rules(one, other))

    def _rules(self, one: Rule | None, other: Rule | None) -> Node:
        if one is not None and other is not None:
            return self._both(effective(one), effective(other))
        return self._alone(effective(one), True) if one else self._alone(effective(other), False) if other else NOTHING

    def _both(self, one: Sequence[Statement], other: Sequence[Statement]) -> Node:
        """Rules that ask the same fields in the same order; a statement is asked if those before it let packets by."""
        reached = EVERYTHING
        found: list[Node] = []
        for mine, theirs in zip(one, other, strict=True):
            match mine, theirs:
                case Match(), Match():
                    found.append(intersection(FOREST, reached, self._matches(mine, theirs)))
                    reached = intersection(FOREST, reached, self._accepted(mine))
                case VerdictLookup(), VerdictLookup():
                    found.append(intersection(FOREST, reached, self._lookups(mine, theirs)))
                case Verdict(), Verdict():
                    found.append(intersection(FOREST, reached, self._verdicts(mine, theirs)))
        return _any(found)

    def _alone(self, statements: Iterable[Statement], is_one: bool) -> Node:
        """A rule that only one table has: what its matches let by, to whatever it does then."""
        reached = EVERYTHING
        for statement in statements:
            match statement:
                case Match():
                    reached = intersection(FOREST, reached, self._accepted(statement, is_one))
                case Verdict():
                    pair = (statement, None) if is_one else (None, statement)
                    return intersection(FOREST, reached, self._verdicts(*pair))
                case VerdictLookup():
                    looked = (statement, None) if is_one else (None, statement)
                    return intersection(FOREST, reached, self._lookups(*looked))
                case Notrack() | Unmodelled():
                    return reached
        return NOTHING

    def _verdicts(self, one: Verdict | None, other: Verdict | None) -> Node:
        """Those that fare otherwise by one verdict than by the other; None is the next rule."""
        match one, other:
            case Verdict(kind, str(name)), Verdict(other_kind, str(other_name)) if kind is other_kind:
                return self.chains(name, other_name)
            case Verdict(VerdictKind.JUMP, str(name)), None:
                return self.chains(name, None)
            case None, Verdict(VerdictKind.JUMP, str(name)):
                return self.chains(None, name)
        return NOTHING if one == other and one is not None else EVERYTHING

    def _lookups(self, one: VerdictLookup | None, other: VerdictLookup | None) -> Node:
        lookup = one or other
        about = asked(lookup.selector, self._situation) if lookup else Absent()
        pairs = self._alignment.lookups(one, other)
        if pairs is None:  # asked first: what is followed may do anything then, whether the packet has the field or not
            return EVERYTHING
        if isinstance(about, Absent):
            return NOTHING
        if len(pairs) > MOST_FOLLOWED:
            return self._keys([element for pair in pairs for element in pair.elements], about)
        return _any(
            intersection(FOREST, self._keys(pair.elements, about), self._verdicts(pair.one, pair.other))
            for pair in pairs
        )

    def _matches(self, one: Match, other: Match) -> Node:
        """Those that one match lets by and the other does not."""
        about = asked(one.selector, self._situation)
        if isinstance(about, Absent):
            return NOTHING
        elements = self._alignment.elements(one.operand, other.operand)
        return EVERYTHING if elements is None else self._keys(elements, about)

    def _keys(self, elements: Sequence[Element], about: Asked) -> Node:
        """Packets whose field may be in one of these elements."""
        match about:
            case Absent():
                return NOTHING
            case Unanswered():
                return EVERYTHING if elements else NOTHING
            case Field():
                values = field_values(elements, about)
                return EVERYTHING if values is None else FOREST.box({about: values}, EVERYTHING, NOTHING)
            case tuple() | Known():
                return membership(elements, about if isinstance(about, tuple) else (about,)).possibly
        return EVERYTHING if any(holds(element, value) for element in elements for value in about) else NOTHING

    def _accepted(self, match: Match, is_one: bool = True) -> Node:
        """Packets that a match may let by."""
        about = asked(match.selector, self._situation)
        if isinstance(about, Absent):
            return NOTHING
        elements = self._alignment.operand(match.operand, is_one)
        if elements is None:
            return EVERYTHING
        if not match.negated:
            return self._keys(elements, about)
        match about:
            case Field():
                values = field_values(elements, about)
                if values is None:
                    return EVERYTHING
                return difference(FOREST, EVERYTHING, FOREST.box({about: values}, EVERYTHING, NOTHING))
            case frozenset():
                outside = any(not any(holds(element, value) for element in elements) for value in about)
                return EVERYTHING if outside else NOTHING
        return EVERYTHING


def _any(nodes: Iterable[Node]) -> Node:
    return balanced(lambda one, other: union(FOREST, one, other), list(nodes), NOTHING)
