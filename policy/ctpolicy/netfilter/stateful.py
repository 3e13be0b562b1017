"""What other rules take from conntrack, and so from traffic that is to bypass it.

A filter that accepts `ct state established` accepts no packet that is untracked; a NAT rule translates none; a rule
that asks for a connection's mark finds none. The rules of both backends are told in one form here
(`nftables/stateful.py` and `iptables/stateful.py` make it), and followed for the packets of one policy entry. A
condition that ctpolicy does not model holds for some packets and not for others, so what is found may be too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import PATHS, Box, Field

DEEPEST: Final = 16
"""Jumps into each other: the kernel's own bound is that (NFT_JUMP_STACK_SIZE)."""

MOST_STEPS: Final = 300_000
"""Rules of one table that are asked for one policy entry, in a second or less; beyond, they are too many to tell."""


class Effect(Enum):
    """What a rule does with packets for which it holds."""

    NEXT = "next"
    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


class Taking(Enum):
    """What a rule needs conntrack for, beside states; the value is said of the rule."""

    SOURCE_NAT = "translates addresses"
    MASQUERADE = "masquerades"
    DESTINATION_NAT = "translates addresses"
    REDIRECT = "redirects"
    HELPER = "gives connections a helper"
    MARK = "uses connection marks"
    ZONE = "gives connections a zone"
    LIMIT = "counts connections"
    SYNPROXY = "answers in the place of servers, whose connections it has to see"
    OFFLOAD = "puts connections into a flow table"


class Holds(IntEnum):
    """For which packets of a box a condition holds."""

    NONE = 0
    SOME = 1
    ALL = 2


Condition = tuple[Field, IntervalSet]
"""The values that a field of the packet must have."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule, or one branch of one that looks up a verdict.

    Args:
        conditions: all of which must hold.
        is_open: whether it also asks what ctpolicy does not model.
        untracked: what its questions to conntrack answer for an untracked packet; None if it asks none.
        effect: what it does.
        target: the chain of a jump or goto.
        taking: what else it needs conntrack for.
        port: to which it translates the destination; None if it is not told, or stays.
        text: the rule, for people.
    """

    conditions: tuple[Condition, ...] = ()
    is_open: bool = False
    untracked: bool | None = None
    effect: Effect = Effect.NEXT
    target: str = ""
    taking: Taking | None = None
    port: int | None = None
    text: str = ""

    def holds(self, box: Box) -> Holds:
        """For which packets of a box the conditions hold, but for those about conntrack."""
        found = Holds.SOME if self.is_open else Holds.ALL
        for asked, values in self.conditions:
            of_box = box.get(asked)
            if of_box is None:
                found = Holds.SOME
            else:
                shared = of_box & values
                if not shared:
                    return Holds.NONE
                if shared != of_box:
                    found = Holds.SOME
        return found


@dataclass(frozen=True, slots=True)
class StepChain:
    """Rules in order.

    Args:
        place: for people: `table inet firewall, chain input`.
        steps: its rules.
        hook: prerouting, input, forward, output or postrouting; empty for a chain that is jumped to.
        is_nat: whether it is of type nat.
        drops: whether packets that come to its end are dropped.
    """

    place: str
    steps: tuple[Step, ...] = ()
    hook: str = ""
    is_nat: bool = False
    drops: bool = False


@dataclass(frozen=True, slots=True)
class StatefulTable:
    """The chains of one table, by name, and the packets that come there at all."""

    chains: Mapping[str, StepChain]
    conditions: tuple[Condition, ...] = ()


class Kind(Enum):
    """What a rule would mean for traffic that were bypassed."""

    NEEDS_ACCEPT = "needs an accept rule"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Dependence:
    """A rule that traffic depends on while it is tracked.

    Args:
        kind: what would come of a bypass.
        why: in words.
        rule: the rule, or the policy of a chain.
        place: where it stands.
    """

    kind: Kind
    why: str
    rule: str
    place: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Packets of one policy entry.

    Args:
        requests: boxes of packets that may begin flows.
        answers: boxes of those that answer them.
        aliases: boxes of packets that are begun elsewhere, and whose translated answers would be among these.
        ports: of the services.
        protocol: IP protocol number.
        answered_on: the path of the answers: in for a service that this host asks, out for one of this host's,
            forward for one that is passed on; None for tunnels.
    """

    requests: tuple[Box, ...]
    answers: tuple[Box, ...]
    aliases: tuple[Box, ...]
    ports: IntervalSet
    protocol: int
    answered_on: Path | None


_HOOKS: Final = {
    Path.IN: ("prerouting", "input"),
    Path.FORWARD: ("prerouting", "forward", "postrouting"),
    Path.OUT: ("output", "postrouting"),
}
_NOT_LO: Final = IntervalSet.single(interface_value(LOOPBACK)).complement(INTERFACE_BITS)
_SOURCES: Final = frozenset({Taking.SOURCE_NAT, Taking.MASQUERADE})
_DESTINATIONS: Final = frozenset({Taking.DESTINATION_NAT, Taking.REDIRECT})


class TooManyRulesError(Exception):
    """The rules are too many to follow."""


def dependences(tables: Iterable[StatefulTable], traffic: Traffic) -> list[Dependence]:
    """The rules that the traffic depends on, those by which it would be lost first.

    Raises:
        TooManyRulesError: they cannot be followed.
    """
    found: dict[Dependence, None] = {}
    for table in tables:
        walk = _Walk(table, traffic)
        for box in (*traffic.requests, *traffic.answers):
            found |= dict.fromkeys(walk.along(box, is_request=box in traffic.requests))
        found |= dict.fromkeys(walk.translations())
    return sorted(found, key=lambda one: one.kind is not Kind.LOST)


@dataclass(slots=True)
class _Walk:
    table: StatefulTable
    traffic: Traffic
    steps: int = 0
    relied: Step | None = None
    dropped: tuple[str, str] | None = None
    taken: list[tuple[Step, StepChain]] = field(default_factory=list)

    def along(self, box: Box, *, is_request: bool) -> Iterator[Dependence]:
        """What the packets of a box meet on their way."""
        path = PATHS[box[Field.PATH].intervals[0][0]]
        outside = {**box, Field.INTERFACE: box.get(Field.INTERFACE, _NOT_LO) & _NOT_LO}
        if not outside[Field.INTERFACE] or Step(self.table.conditions).holds(box) is Holds.NONE:
            return
        for chain in self.table.chains.values():
            if chain.hook not in _HOOKS[path]:
                continue
            self.relied, self.dropped, self.taken = None, None, []
            asked = {
                one: values for one, values in outside.items() if one is not Field.INTERFACE or _is_told(path, chain)
            }
            ended = self._follow(chain, asked, 0)
            yield from (found for one in self.taken if (found := _taken(*one, path, is_request)))
            if chain.is_nat:
                continue
            if not ended and chain.drops and self.relied is not None and self.dropped is None:
                self.dropped = "policy drop", chain.place
            if self.dropped is not None and self.relied is not None:
                yield Dependence(
                    Kind.NEEDS_ACCEPT,
                    f"tracked, it is accepted by `{self.relied.text}`; untracked, it comes to `{self.dropped[0]}`",
                    self.relied.text,
                    self.dropped[1],
                )

    def _follow(self, chain: StepChain, box: Box, depth: int) -> bool:
        """Go through a chain; whether every packet's way through the base chain ended in it."""
        if depth > DEEPEST:
            raise TooManyRulesError
        for step in chain.steps:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise TooManyRulesError
            held = step.holds(box)
            if held is Holds.NONE:
                continue
            if step.taking is not None:
                self.taken.append((step, chain))
            if step.untracked is False:
                if step.effect in {Effect.ACCEPT, Effect.JUMP, Effect.GOTO}:
                    self.relied = self.relied or step
                continue
            match step.effect:
                case Effect.ACCEPT if held is Holds.ALL:
                    return True
                case Effect.DROP:
                    if self.relied is not None and self.dropped is None:
                        self.dropped = step.text, chain.place
                    if held is Holds.ALL:
                        return True
                case Effect.RETURN if held is Holds.ALL:
                    return False
                case Effect.JUMP | Effect.GOTO:
                    target = self.table.chains.get(step.target)
                    ended = target is not None and self._follow(target, box, depth + 1)
                    if held is Holds.ALL and (ended or step.effect is Effect.GOTO):
                        return ended
        return False

    def translations(self) -> Iterator[Dependence]:
        """NAT rules that never meet this traffic, and whose flows are answered by packets that look like it."""
        for box in self.traffic.aliases:
            for step, chain in self._nat(box):
                if step.taking in _SOURCES:
                    yield _lost(step, chain, "answers to flows that it translates would stay untracked, and be lost")
        answered_on = self.traffic.answered_on
        if answered_on is None:
            return
        hooks = ("output",) if answered_on is Path.IN else ("prerouting", "output")
        for chain in self.table.chains.values():
            if chain.is_nat or not chain.hook:
                for step in chain.steps:
                    if (
                        step.taking in _DESTINATIONS
                        and self._reaches(chain, hooks)
                        and self._may_answer(step, answered_on)
                    ):
                        yield _lost(
                            step, chain, "flows that it translates are answered from this port, and would be lost"
                        )

    def _nat(self, box: Box) -> Iterator[tuple[Step, StepChain]]:
        path = PATHS[box[Field.PATH].intervals[0][0]]
        for chain in self.table.chains.values():
            if chain.is_nat and chain.hook in _HOOKS[path]:
                self.relied, self.dropped, self.taken = None, None, []
                self._follow(chain, box, 0)
                yield from self.taken

    def _reaches(self, chain: StepChain, hooks: Sequence[str]) -> bool:
        """Whether a chain is one of these hooks', or is jumped to, from wherever."""
        return chain.hook in hooks if chain.hook else True

    def _may_answer(self, step: Step, answered_on: Path) -> bool:
        """Whether what a rule sends elsewhere may be answered from a port of this traffic, on its path."""
        if step.taking is Taking.REDIRECT and answered_on is not Path.OUT:
            return False
        protocols = next((values for asked, values in step.conditions if asked is Field.PROTOCOL), None)
        if protocols is not None and self.traffic.protocol not in protocols:
            return False
        if step.port is not None:
            return step.port in self.traffic.ports
        to = next((values for asked, values in step.conditions if asked is Field.DESTINATION_PORT), None)
        return to is None or bool(to & self.traffic.ports)


def _is_told(path: Path, chain: StepChain) -> bool:
    """Whether the interface that rules ask for at this hook is the one that a box has."""
    return path is not Path.FORWARD or chain.hook == "prerouting"


def _taken(step: Step, chain: StepChain, path: Path, is_request: bool) -> Dependence | None:
    """What it means that packets meet a rule which needs conntrack; None if nothing."""
    if step.taking in _SOURCES | _DESTINATIONS:
        # Only the first packet of a flow meets NAT rules, and masquerading gives this host's own flows the address
        # that they have already.
        if not is_request or (step.taking is Taking.MASQUERADE and path is Path.OUT):
            return None
        return _lost(step, chain, "untracked packets are not translated")
    assert step.taking is not None
    if _is_about_another_service(step, is_request):
        return None
    return _lost(step, chain, f"it {step.taking.value}, and untracked packets belong to none")


def _is_about_another_service(step: Step, is_request: bool) -> bool:
    """Whether a rule names the port at the client's end, which may be any: then it means the service of that port."""
    asked = {about for about, _ in step.conditions}
    service, client = Field.DESTINATION_PORT, Field.SOURCE_PORT
    if not is_request:
        service, client = client, service
    return client in asked and service not in asked


def _lost(step: Step, chain: StepChain, why: str) -> Dependence:
    return Dependence(Kind.LOST, why, step.text, chain.place)
