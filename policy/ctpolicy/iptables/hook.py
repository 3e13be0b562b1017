"""What one family needs at one hook: few rules one after the other, or gates and trees of chains.

The essay on the layout is in compile.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from ctpolicy.iptables.names import chain_name, protocol_word
from ctpolicy.iptables.prefixes import block_around
from ctpolicy.iptables.questions import Questions, sets_find_ports
from ctpolicy.iptables.ruleset import Chain, End, InSet, Interface, Match, Protocol, Rule, Verdict, VerdictKind
from ctpolicy.iptables.sets import SetMaker
from ctpolicy.iptables.trees import FIELDS, Field, block_label, parts_of
from ctpolicy.netfilter.boxes import Box, Hook, Role
from ctpolicy.packetspace.fields import LOOPBACK, Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet

MOST_RULES: Final = 8
"""That stand one after the other; of more, a tree is cheaper."""

_MOST_INTERVALS: Final = 64
"""Of one box, to be spread over a tree; a longer list is asked as an ipset."""


class HookCompiler:
    """What one family needs at one hook.

    In the methods, `path` is what chains are named after, and `after` the chain where packets go that are still to be
    asked about something else; None if there is nothing.
    """

    def __init__(self, family: Family, hook: Hook, sets: SetMaker | None, branch_bits: int) -> None:
        self._branch_bits = branch_bits
        self._family = family
        self._hook = hook
        self._sets = sets
        self._questions = Questions(family, hook, sets)
        self._chains: dict[str, Chain] = {}
        self._known: dict[tuple[tuple[Box, ...], str | None], str] = {}

    def compile(self, given: Sequence[Box], name: str) -> dict[str, Chain]:
        """The chains for these boxes, tracks first; the one of this name is where packets begin."""
        rules = self._linear(given) if self._are_few(given) else self._by_protocol(given)
        self._chains[name] = Chain(name, (*self._loopback(), *rules))
        return self._chains

    def _loopback(self) -> Iterable[Rule]:
        # A loopback packet was decided at output; here notrack does nothing to it, but a counter would count it twice.
        if self._hook is Hook.PREROUTING:
            yield Rule((Interface(End.SOURCE, LOOPBACK),), Verdict(VerdictKind.RETURN))

    def _by_protocol(self, given: Sequence[Box]) -> list[Rule]:
        """Any-protocol tracks, then each protocol, then any-protocol bypasses."""
        tracks = [box for box in given if box.protocol is None and box.role is Role.TRACK]
        bypasses = [box for box in given if box.protocol is None and box.role is Role.BYPASS]
        last = self._chain(("ANY",), bypasses, None) if bypasses else None
        by_protocol: dict[int, list[Box]] = defaultdict(list)
        for box in given:
            if box.protocol is not None:
                by_protocol[box.protocol].append(box)
        rules = [rule for number, own in sorted(by_protocol.items()) for rule in self._protocol(number, own, last)]
        rules += _goto(last)
        if not tracks:
            return rules
        if self._are_few(tracks):
            return [*self._linear(tracks), *rules]
        return self._rules(("TANY",), tracks, self._add(("REST",), rules))

    def _protocol(self, number: int, own: Sequence[Box], after: str | None) -> list[Rule]:
        """Rules that send packets of one protocol to its chain, if their ports are any that it asks about."""
        word = protocol_word(number).upper()
        if after is None and self._count(own) == 1:
            return self._linear(own)  # as many rules as one that leads to a chain
        chain = self._add((word,), self._by_role((word,), own, after))
        gates = self._gates(number, own)
        return [Rule((Protocol(number), *gate), Verdict(VerdictKind.GOTO, chain)) for gate in gates]

    def _gates(self, number: int, own: Sequence[Box]) -> list[tuple[Match, ...]]:
        to, back, rest = _by_port(own)
        if self._sets is None or rest or not sets_find_ports(number) or self._are_few(own):
            return [()]
        gates: list[tuple[Match, ...]] = []
        for end, letter, ports in ((End.DESTINATION, "d", to), (End.SOURCE, "s", back)):
            if ports:
                name = f"{self._hook.value[:3]}-{protocol_word(number)}-{letter}"
                gates.append((InSet(self._sets.gate(name, IntervalSet.of(v for p in ports for v in p)), (end,)),))
        return gates

    def _by_role(self, path: tuple[str, ...], own: Sequence[Box], after: str | None) -> list[Rule]:
        tracks = [box for box in own if box.role is Role.TRACK]
        bypasses = [box for box in own if box.role is Role.BYPASS]
        if not tracks or self._are_few(own):
            return self._rules(path, own, after)
        if bypasses:
            after = self._chain((*path, "B"), bypasses, after)
        return self._rules((*path, "T"), tracks, after)

    def _rules(self, path: tuple[str, ...], given: Sequence[Box], after: str | None) -> list[Rule]:
        """The rules of a chain that asks about these boxes: one after the other if they are few, or else a tree."""
        given = self._decisive(given)
        if self._are_few(given):
            return [*self._linear(given), *_goto(after)]
        if after is not None and given[0].role is Role.BYPASS:
            return self._one_after_the_other(path, self._rules((*path, "J"), given, None), after)
        field = max(FIELDS, key=lambda field: self._merit(field, given))
        asking = [box for box in given if self._weight(field, box)]
        rest = [box for box in given if not self._weight(field, box)]
        if self._count(asking) <= MOST_RULES:
            return [*self._linear(given), *_goto(after)]
        loopback = [box for box in asking if box.on_loopback]
        if loopback and len(loopback) < len(asking):
            asking = [box for box in asking if not box.on_loopback]
            rest += loopback
        if rest:
            after = self._chain((*path, "R"), rest, after)
        everything = (0, (1 << field.bits(self._family)) - 1)
        if after is not None and given[0].role is Role.BYPASS:
            tree = self._branches((*path, field.letter), field, asking, everything, None)
            return self._one_after_the_other(path, tree, after)
        return self._branches((*path, field.letter), field, asking, everything, after)

    def _one_after_the_other(self, path: tuple[str, ...], first: Iterable[Rule], after: str) -> list[Rule]:
        """Bypass entries that come back from being asked, so that chains are not as deep as both together."""
        jump = Verdict(VerdictKind.JUMP, self._add((*path, "J"), first))
        return [Rule((), jump), *_goto(after)]

    def _decisive(self, given: Sequence[Box]) -> Sequence[Box]:
        """Of more than a few boxes of one role, those that decide: the first by name of those that ask alike, and one
        alone if it asks nothing."""
        if self._are_few(given):
            return given
        alone = next((box for box in given if self._is_free(box)), None)
        if alone is not None:
            return [alone]
        alike: dict[Box, Box] = {}
        for box in given:
            alike.setdefault(box._replace(entry=""), box)
        return list(alike.values())

    def _is_free(self, box: Box) -> bool:
        """Whether a box asks nothing any more but its protocol, which whoever asks has looked at."""
        asked = (box.source, box.destination, box.source_ports, box.destination_ports, box.interfaces)
        return asked == (None,) * 5 and not box.on_loopback and box.paths == self._hook.paths

    def _merit(self, field: Field, given: Sequence[Box]) -> tuple[int, bool, int]:
        """How well a tree by this field tells boxes apart: ports before addresses, which are longer lists."""
        weights = [self._weight(field, box) for box in given]
        return sum(map(bool, weights)), field.is_port, sum(weights)

    def _weight(self, field: Field, box: Box) -> int:
        """How many rules a tree by this field would spread."""
        values = field.values(box)
        if values is None:
            return 0
        if self._sets is not None and len(values) > _MOST_INTERVALS:
            return 0
        return len(values)

    def _node(
        self, path: tuple[str, ...], field: Field, given: Sequence[Box], block: Interval, after: str | None
    ) -> list[Rule]:
        """Behind a block: rules for the boxes that hold all of it, and branches for those that hold a part."""
        given = self._decisive(given)
        if self._are_few(given):
            return [*self._linear(given), *_goto(after)]
        whole = [box for box in given if field.values(box) is None]
        partly = [box for box in given if field.values(box) is not None]
        if whole:
            if not partly:
                return self._rules((*path, "X"), whole, after)
            if self._are_few(whole):
                return [*self._linear(whole), *self._branches(path, field, partly, block, after)]
            after_whole = self._add((*path, "P"), self._branches(path, field, partly, block, after))
            return self._rules((*path, "W"), whole, after_whole)
        return self._branches(path, field, partly, block, after)

    def _branches(
        self, path: tuple[str, ...], field: Field, given: Sequence[Box], block: Interval, after: str | None
    ) -> list[Rule]:
        """A rule for each part of a block that boxes hold some of, and then what is still to be asked."""
        rules: list[Rule] = []
        for narrowed in parts_of(field, given, block, self._branch_bits):
            if len(narrowed) == 1 and self._questions.count(narrowed[0]) == 1:
                rules += self._linear(narrowed)
                continue
            inner = block_around(IntervalSet.of(i for box in narrowed for i in field.values(box) or ()))
            place = (*path[:-1], block_label(field.letter, inner, field.bits(self._family)))
            chain = self._shared(place, field, narrowed, inner, after)
            matches = field.matches(narrowed[0].protocol, inner)
            rules.append(Rule(matches, Verdict(VerdictKind.GOTO, chain)))
        return [*rules, *_goto(after)]

    def _shared(
        self, path: tuple[str, ...], field: Field, given: Sequence[Box], block: Interval, after: str | None
    ) -> str:
        """A chain for the part of a tree behind one block; the same one for blocks behind which all is alike."""
        bare = tuple(field.narrowed(box, None) if field.values(box) == IntervalSet((block,)) else box for box in given)
        key = (bare, after)
        if key not in self._known:
            self._known[key] = self._add(path, self._node(path, field, bare, block, after))
        return self._known[key]

    def _chain(self, path: tuple[str, ...], given: Sequence[Box], after: str | None) -> str:
        return self._add(path, self._rules(path, given, after))

    def _add(self, path: tuple[str, ...], rules: Iterable[Rule]) -> str:
        name = chain_name(self._hook, *path)
        assert name not in self._chains, f"two chains {name}"
        self._chains[name] = Chain(name, tuple(rules))
        return name

    def _are_few(self, given: Sequence[Box]) -> bool:
        return len(given) <= MOST_RULES and self._count(given) <= MOST_RULES

    def _count(self, given: Iterable[Box]) -> int:
        return sum(self._questions.count(box) for box in given)

    def _linear(self, given: Iterable[Box]) -> list[Rule]:
        return [rule for box in given for rule in self._questions.rules(box)]


def _goto(chain: str | None) -> list[Rule]:
    return [] if chain is None else [Rule((), Verdict(VerdictKind.GOTO, chain))]


def _by_port(given: Iterable[Box]) -> tuple[list[IntervalSet], list[IntervalSet], list[Box]]:
    """Destination ports that are asked for, source ports of boxes that ask for these alone, and boxes without ports."""
    to, back, rest = [], [], []
    for box in given:
        if box.destination_ports is not None:
            to.append(box.destination_ports)
        elif box.source_ports is not None:
            back.append(box.source_ports)
        else:
            rest.append(box)
    return to, back, rest
