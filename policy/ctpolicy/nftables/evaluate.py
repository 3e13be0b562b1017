"""The way of one packet through a table, rule by rule, as the kernel takes it.

Only what decides whether the packet is tracked is followed: base chains of prerouting and output that come before
conntrack. It is a second reading of the rules: tests hold it, the kernel and `meaning.decide` against each other.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from ctpolicy.nftables.matches import DESTINATION_TYPE
from ctpolicy.nftables.names import TAKEN_BY_HOST
from ctpolicy.nftables.ruleset import (
    AnonymousSet,
    Chain,
    Counter,
    Element,
    Fib,
    Match,
    Meta,
    Notrack,
    Operand,
    Payload,
    Rule,
    Selector,
    SetReference,
    Table,
    Verdict,
    VerdictKind,
    VerdictLookup,
)
from ctpolicy.packetspace.fields import Family, Path, protocol_number
from ctpolicy.packetspace.packet import Packet

CONNTRACK_PRIORITY: Final = -200
"""NF_IP_PRI_CONNTRACK: a notrack at this priority or later comes too late, and the kernel accepts it in silence."""

_ENDS: Final = frozenset({VerdictKind.ACCEPT, VerdictKind.DROP})


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that sent the packet on its way: it decided, jumped, or made it untracked.

    Args:
        chain: the rule's.
        number: the rule's in its chain, from 1.
        rule: itself.
        verdict: what came of it; None if the packet went on to the next rule.
    """

    chain: str
    number: int
    rule: Rule
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Trace:
    """What a table does with one packet.

    Args:
        untracked: whether it leaves the packet untracked; None if a rule asks what ctpolicy does not model.
        steps: the rules on the packet's way.
    """

    untracked: bool | None
    steps: tuple[Step, ...]


class _UnknownError(Exception):
    """A rule on the packet's way asks what ctpolicy does not model."""


def trace(table: Table, packet: Packet) -> Trace:
    """The way of one packet through a table; for many packets, keep a Tracer."""
    return Tracer(table).trace(packet)


class Tracer:
    """A table whose objects can be found by name, for following many packets."""

    def __init__(self, table: Table) -> None:
        self.chains = {chain.name: chain for chain in table.chains}
        self.sets = {named.name: named.elements for named in table.sets}
        self.maps = {named.name: named.elements for named in table.maps}
        entered = [chain for chain in table.chains if chain.hook and chain.hook.priority < CONNTRACK_PRIORITY]
        self._base = sorted(entered, key=lambda chain: (chain.hook.priority if chain.hook else 0, chain.name))

    def trace(self, packet: Packet) -> Trace:
        """The way of a packet."""
        way = _Way(self, packet)
        try:
            for chain in self._base_chains(packet):
                way.walk(chain)
        except _UnknownError:
            return Trace(None, tuple(way.steps))
        return Trace(way.untracked, tuple(way.steps))

    def _base_chains(self, packet: Packet) -> list[Chain]:
        hook = "output" if packet.path is Path.OUT else "prerouting"
        return [chain for chain in self._base if chain.hook and chain.hook.hook == hook]


class _Way:
    def __init__(self, tracer: Tracer, packet: Packet) -> None:
        self._chains = tracer.chains
        self._sets = tracer.sets
        self._maps = tracer.maps
        self._packet = packet
        self.steps: list[Step] = []
        self.untracked = False

    def walk(self, chain: Chain) -> bool:
        """Follow the packet through a chain; whether it was decided there, so that no rule comes after."""
        for number, rule in enumerate(chain.rules, start=1):
            was_untracked = self.untracked
            verdict = self._apply(rule)
            if verdict is None or verdict.kind is VerdictKind.CONTINUE:
                if self.untracked != was_untracked:
                    self.steps.append(Step(chain.name, number, rule, None))
                continue
            self.steps.append(Step(chain.name, number, rule, verdict))
            if verdict.kind in _ENDS:
                return True
            if verdict.kind is VerdictKind.RETURN:
                return False
            decided = self.walk(self._target(verdict))
            if decided or verdict.kind is VerdictKind.GOTO:
                return decided
        return False

    def _target(self, verdict: Verdict) -> Chain:
        if verdict.chain not in self._chains:
            raise _UnknownError  # a dump that was cut
        return self._chains[verdict.chain]

    def _apply(self, rule: Rule) -> Verdict | None:
        for statement in rule.statements:
            match statement:
                case Match() if self._holds(statement) is statement.negated:
                    return None
                case Notrack():
                    self.untracked = True
                case Verdict():
                    return statement
                case VerdictLookup(selector, str(name)):
                    return self._look_up(name, self._value(selector))
                case Match() | Counter():
                    pass
                case _:
                    raise _UnknownError
        return None

    def _holds(self, match: Match) -> bool:
        """Whether the field is in the operand."""
        if isinstance(match.selector, Fib):
            return self._fib_holds(match)
        value = self._value(match.selector)
        if value is None:
            # A rule about another protocol's field does not apply, negated or not.
            return match.negated
        return self._is_in(value, match.operand)

    def _fib_holds(self, match: Match) -> bool:
        if match.selector != DESTINATION_TYPE or self._packet.path is Path.OUT:
            raise _UnknownError
        if self._packet.path is Path.FORWARD:
            return self._is_in("unicast", match.operand)
        # Which of these types a packet on path in has, it does not say.
        answers = {self._is_in(word, match.operand) for word in TAKEN_BY_HOST}
        if len(answers) > 1:
            raise _UnknownError
        return answers.pop()

    def _value(self, selector: Selector) -> int | str | None:
        """The packet's value of a field; None if it has no such field."""
        packet = self._packet
        match selector:
            case Payload("ip" | "ip6" as word, "saddr" | "daddr" as field):
                if packet.family is not (Family.IPV4 if word == "ip" else Family.IPV6):
                    return None
                return int(packet.source if field == "saddr" else packet.destination)
            case Payload("th", "sport" | "dport") if packet.source_port is None:
                raise _UnknownError  # the kernel looks at whatever this protocol has there
            case Payload(protocol, "sport" | "dport" as field):
                if protocol != "th" and protocol_number(protocol) != packet.protocol:
                    return None
                return packet.source_port if field == "sport" else packet.destination_port
            case Meta("l4proto"):
                return packet.protocol
            case Meta("nfproto"):
                return packet.family.value
            case Meta("iifname" | "oifname" as key):
                return packet.interface if (key == "oifname") is (packet.path is Path.OUT) else ""
        raise _UnknownError

    def _is_in(self, value: int | str, operand: Operand) -> bool:
        match operand:
            case SetReference(name):
                if name not in self._sets:
                    raise _UnknownError
                return any(_covers(element, value) for element in _near(self._sets[name], value))
            case AnonymousSet(elements):
                return any(_covers(element, value) for element in elements)
        return _covers(operand, value)

    def _look_up(self, name: str, value: int | str | None) -> Verdict | None:
        if name not in self._maps:
            raise _UnknownError
        if value is None:
            return None
        pairs = self._maps[name]
        if isinstance(value, int):  # the one interval that can hold it
            at = bisect_right(pairs, value, key=lambda pair: _beginning(pair[0]))
            pairs = pairs[max(at - 1, 0) : at]
        return next((verdict for element, verdict in pairs if _covers(element, value)), None)


def _near(elements: tuple[Element, ...], value: int | str) -> tuple[Element, ...]:
    """The one interval that can hold a number; every name for a name."""
    if isinstance(value, str):
        return elements
    at = bisect_right(elements, value, key=_beginning)
    return elements[max(at - 1, 0) : at]


def _beginning(element: Element) -> int:
    return element[0] if isinstance(element, tuple) else 0


def _covers(element: Element, value: int | str) -> bool:
    if isinstance(element, str):
        pattern = element[:-1] if element.endswith("*") else None
        return isinstance(value, str) and (value == element if pattern is None else value.startswith(pattern))
    return isinstance(element, tuple) and isinstance(value, int) and element[0] <= value <= element[1]
