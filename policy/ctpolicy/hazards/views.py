"""What can be told of a packet at one hook: each thing that rules ask is a field of it, or one of a few values.

- The interface of a packet is the one that it came in by or, if it was made here, the one that it leaves by. The other
  one is not there (0), or, once it has been routed, not known: any value. At postrouting the kernel shows the
  interface that a packet came in by since Linux 5.9 (28f8bfd1ac94), and before that none.
- The type of a destination is known as far as the path tells it.
- A port is known of the protocols that have ports. `th dport` of any other looks at whatever stands there.
- Before conntrack has seen a packet, `ct state` is `invalid` (there is no entry, and nothing says that it is
  untracked); after a notrack it is `untracked` at once. What comes back through `lo` has been seen at output.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import ADDRESS_TYPES, Asked, Hook, Step, Values, Within
from ctpolicy.hazards.situations import Situation, Situations
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS
from ctpolicy.packetspace.interface_values import INTERFACE_BITS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING, difference, intersection, union_of_boxes
from ctpolicy.packetspace.universe import FOREST, Box, Field

CONNTRACK_PRIORITY: Final = -200
"""NF_IP_PRI_CONNTRACK, at prerouting and output."""

ANY_ICMP_TYPE: Final = IntervalSet.full(8)

_FIELDS: Final = {
    Asked.FAMILY: Field.FAMILY,
    Asked.PROTOCOL: Field.PROTOCOL,
    Asked.SOURCE: Field.SOURCE,
    Asked.DESTINATION: Field.DESTINATION,
    Asked.SOURCE_PORT: Field.SOURCE_PORT,
    Asked.DESTINATION_PORT: Field.DESTINATION_PORT,
}
_PORTS: Final = frozenset({Asked.SOURCE_PORT, Asked.DESTINATION_PORT})
_WITH_PORTS: Final = IntervalSet.of((number, number) for number in PROTOCOLS_WITH_PORTS)
_WITHOUT_PORTS: Final = _WITH_PORTS.complement(8)

_NO_INTERFACE: Final = IntervalSet.single(0)
_ANY_INTERFACE: Final = IntervalSet.full(INTERFACE_BITS)

_LAST_TYPE: Final = len(ADDRESS_TYPES) - 1
_TAKEN: Final = IntervalSet(((0, 3),))
_TYPES: Final = {
    Route.IN: _TAKEN,
    Route.FORWARD: IntervalSet(((4, _LAST_TYPE),)),
    Route.OUT: IntervalSet(((1, _LAST_TYPE),)),  # whatever is local leaves through `lo`
    Route.LOOPBACK: _TAKEN,
}

Answer = Field | IntervalSet
"""A field of the packet, or the values that it may have."""


class Truth(Enum):
    """Whether something that is not about a packet's fields holds."""

    NO = "no"
    PERHAPS = "perhaps"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Holding:
    """For which packets something holds, as diagrams; what certainly does is part of what possibly does."""

    certainly: Node
    possibly: Node


_NEVER: Final = Holding(NOTHING, NOTHING)


@dataclass(slots=True)
class Known:
    """For which packets holds what steps ask of their fields, so that nobody asks twice. Most steps ask only what is
    the same at every hook."""

    anywhere: dict[Step, Holding] = field(default_factory=dict)
    by_place: dict[tuple[Route, Hook, IntervalSet], dict[Step, Holding]] = field(default_factory=dict)

    def get(self, view: View, step: Step) -> Holding:
        """What holds at a view's hook."""
        found = self.anywhere.get(step)
        if found is None:
            place = self.by_place.setdefault((view.route, view.hook, view.icmp_types), {})
            found = place.get(step)
        if found is None:
            found = view.holding_of_fields(step)
            is_same_anywhere = all(question.asks <= _FIELDS.keys() for question in step.fields)
            (self.anywhere if is_same_anywhere else place)[step] = found
        return found


@dataclass(frozen=True, slots=True)
class View:
    """What rules see at a hook.

    Args:
        route: the packets'.
        hook: of the rules.
        seen: the situations in which packets may look to be there.
        icmp_types: that the packets may have, if they are ICMP.
    """

    route: Route
    hook: Hook
    seen: Situations
    icmp_types: IntervalSet = ANY_ICMP_TYPE

    @classmethod
    def at(cls, route: Route, hook: Hook, priority: int, situation: Situation, icmp_types: IntervalSet) -> View:
        """The view of a base chain."""
        return cls(route, hook, seen_as(situation, route, hook, priority), icmp_types)

    def answer(self, asked: Asked) -> Answer:
        """What is known of what a rule asks."""
        if asked in _FIELDS:
            return _FIELDS[asked]
        if asked is Asked.DESTINATION_TYPE:
            return _TYPES[self.route]
        if asked is Asked.ICMP_TYPE:
            return self.icmp_types
        return self._incoming if asked is Asked.INCOMING else self._outgoing

    @property
    def _incoming(self) -> Answer:
        if self.hook is Hook.POSTROUTING:
            return _ANY_INTERFACE
        return _NO_INTERFACE if self.hook is Hook.OUTPUT else Field.INTERFACE

    @property
    def _outgoing(self) -> Answer:
        if self.hook in {Hook.PREROUTING, Hook.INPUT}:
            return _NO_INTERFACE
        return _ANY_INTERFACE if self.route is Route.FORWARD else Field.INTERFACE

    def tracking(self, step: Step) -> Truth:
        """Whether a step's question about conntrack holds."""
        if self.seen <= step.tracking.certainly:
            return Truth.YES
        return Truth.PERHAPS if self.seen & step.tracking.possibly else Truth.NO

    def holding(self, step: Step, known: Known) -> Holding:
        """The packets for which a step holds."""
        truth = self.tracking(step)
        if truth is Truth.NO:
            return _NEVER
        held = known.get(self, step)
        return Holding(NOTHING, held.possibly) if step.open or truth is Truth.PERHAPS else held

    def holding_of_fields(self, step: Step) -> Holding:
        """The packets for which holds what a step asks of their fields."""
        certainly, possibly = EVERYTHING, EVERYTHING
        for question in (*_in_one(step.fields), *(one for one in step.fields if not _is_plain(one))):
            held = self.within(question)
            certainly = intersection(FOREST, certainly, held.certainly)
            possibly = intersection(FOREST, possibly, held.possibly)
            if possibly is NOTHING:
                return _NEVER
        return Holding(certainly, possibly)

    def is_outside(self, step: Step, within: Box) -> bool:
        """Whether a step holds for no packet of a box: it asks for a value that none has, as nearly all do of the rules
        of thousands of services."""
        if not self.seen & step.tracking.possibly:
            return True
        for question in step.fields:
            if _is_plain(question):
                for asked, values in question.boxes[0].items():
                    answer = self.answer(asked)
                    met = within.get(answer) if isinstance(answer, Field) else answer
                    # Ports of a protocol without them are not known, whatever the field has.
                    if asked not in _PORTS and met is not None and not _share(met, values):
                        return True
        return False

    def within(self, question: Within) -> Holding:
        """The packets for which a question holds."""
        certainly: list[Box] = []
        possibly: list[Box] = []
        for values in question.boxes:
            known, is_sure = self._known(values)
            if known is None:
                continue
            if question.asks & _PORTS:
                others = {one: of for one, of in known.items() if one not in _PORT_FIELDS}
                possibly.append(_confined(others, Field.PROTOCOL, _WITHOUT_PORTS))
                known = _confined(known, Field.PROTOCOL, _WITH_PORTS)
            possibly.append(known)
            if is_sure:
                certainly.append(known)
        sure, maybe = union_of_boxes(FOREST, certainly), union_of_boxes(FOREST, possibly)
        return Holding(_complement(maybe), _complement(sure)) if question.negated else Holding(sure, maybe)

    def _known(self, values: Values) -> tuple[Box | None, bool]:
        """A box of values as far as it is about fields, None if it cannot be; and whether it is about nothing else."""
        box: dict[Field, IntervalSet] = {}
        is_sure = True
        for asked, wanted in values.items():
            answer = self.answer(asked)
            if isinstance(answer, Field):
                box[answer] = box[answer] & wanted if answer in box else wanted
            else:
                shared = answer & wanted
                if not shared:
                    return None, False
                is_sure = is_sure and shared == answer
        return box, is_sure


_PORT_FIELDS: Final = frozenset({Field.SOURCE_PORT, Field.DESTINATION_PORT})


def seen_as(situation: Situation, route: Route, hook: Hook, priority: int) -> Situations:
    """As what a packet may look to the rules of a base chain."""
    comes_first = hook is route.hooks[0] and priority <= CONNTRACK_PRIORITY
    if not comes_first:
        return frozenset({situation})
    before = {Situation.INVALID} | ({situation} & {Situation.UNTRACKED})
    return frozenset(before if priority < CONNTRACK_PRIORITY else before | {situation})


def _is_plain(question: Within) -> bool:
    return len(question.boxes) == 1 and not question.negated


def _in_one(questions: Iterable[Within]) -> list[Within]:
    """The questions about one value each, as one."""
    box: dict[Asked, IntervalSet] = {}
    for question in questions:
        if _is_plain(question):
            for asked, values in question.boxes[0].items():
                box[asked] = box[asked] & values if asked in box else values
    return [Within((box,))] if box else []


def _share(one: IntervalSet, other: IntervalSet) -> bool:
    if len(one) < len(other):
        one, other = other, one
    return any(one.meets(interval) for interval in other)


def _confined(box: Box, asked: Field, values: IntervalSet) -> Box:
    return {**box, asked: box[asked] & values if asked in box else values}


def _complement(node: Node) -> Node:
    return difference(FOREST, EVERYTHING, node)
