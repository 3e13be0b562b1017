"""The way of one packet through a raw table, rule by rule, as the kernel takes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ctpolicy.iptables.conditions import Absent, Circumstances, Within, asked
from ctpolicy.iptables.destinations import MULTICAST, kinds, multicast_kinds
from ctpolicy.iptables.ruleset import (
    Chain,
    Match,
    Notrack,
    RawTables,
    Rule,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)
from ctpolicy.netfilter.situations import Situation
from ctpolicy.packetspace.fields import Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.universe import FOREST, packet_values


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that the packet matched.

    Args:
        chain: the rule's.
        number: the rule's in its chain, from 1.
        rule: itself.
    """

    chain: str
    number: int
    rule: Rule


class _UnknownError(Exception):
    """A rule on the packet's way asks, or does, what ctpolicy does not model."""


class _DecidedError(Exception):
    """The packet has left the table."""


@dataclass(slots=True)
class Trace:
    """What a raw table does with one packet.

    Args:
        untracked: whether it leaves the packet untracked; None if a rule asks what ctpolicy does not model.
        steps: the rules that the packet matched.
    """

    untracked: bool | None = False
    steps: list[Step] = field(default_factory=list)


class Tracer:
    """Raw tables whose objects can be found by name, for following many packets."""

    def __init__(self, tables: RawTables) -> None:
        self._chains = {
            family: {chain.name: chain for chain in table.chains} for family, table in tables.tables.items()
        }
        self._sets = {one.name: one for one in tables.sets if not one.unmodelled}

    def trace(self, packet: Packet) -> Trace:
        """The way of a packet."""
        way = _Way(self._chains.get(packet.family, {}), self._circumstances(packet), packet)
        try:
            way.walk("OUTPUT" if packet.path is Path.OUT else "PREROUTING")
        except _UnknownError:
            way.trace.untracked = None
        except _DecidedError:
            pass
        return way.trace

    def _circumstances(self, packet: Packet) -> Circumstances:
        """The packet's, to a destination of the first of the kinds that it may be of."""
        is_multicast = int(packet.destination) in MULTICAST[packet.family]
        some = (multicast_kinds if is_multicast else kinds)(packet.path, packet.family)
        return Circumstances(Situation.of(packet), some[0], self._sets)


class _Way:
    def __init__(self, chains: dict[str, Chain], known: Circumstances, packet: Packet) -> None:
        self._chains = chains
        self._known = known
        self._values = packet_values(packet)
        self.trace = Trace()

    def walk(self, name: str) -> None:
        """Follow the packet through a chain, to its end or a RETURN."""
        for number, rule in enumerate(self._chains[name].rules if name in self._chains else (), start=1):
            if all(map(self._holds, rule.matches)):
                self.trace.steps.append(Step(name, number, rule))
                if self._leaves(rule):
                    return

    def _leaves(self, rule: Rule) -> bool:
        """What the rule does with the packet; whether the chain is left."""
        match rule.target:
            case Notrack():
                self.trace.untracked = True
            case Verdict(VerdictKind.JUMP, str(chain)):
                self.walk(chain)
            case Verdict(VerdictKind.GOTO, str(chain)):
                self.walk(chain)
                return True
            case Verdict(VerdictKind.RETURN):
                return True
            case Verdict(kind):
                if kind is VerdictKind.DROP:
                    self.trace.untracked = False
                raise _DecidedError
            case UnmodelledTarget():
                raise _UnknownError
        return False

    def _holds(self, match: Match) -> bool:
        about = asked(match, self._known)
        if about is None:
            raise _UnknownError
        if isinstance(about, Absent):
            return False
        negated = bool(getattr(match, "negated", False))
        if isinstance(about, bool):
            return about is not negated
        if isinstance(about, Within):
            return (self._values[about.field] in about.values) is not negated
        certainly = FOREST.value(about.certainly, self._values) == 1
        if not certainly and FOREST.value(about.possibly, self._values) == 1:
            raise _UnknownError
        return certainly is not negated
