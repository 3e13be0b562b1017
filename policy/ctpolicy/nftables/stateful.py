"""Tables of nftables as rules that may need conntrack, whoever wrote them (netfilter/stateful.py).

What iptables-nft keeps is read from its own listing (iptables/stateful.py) where there is one: nft shows of its rules
that they translate, and not to where.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ctpolicy.netfilter.owners import owner
from ctpolicy.netfilter.stateful import Condition, Effect, StatefulTable, Step, StepChain, Taking
from ctpolicy.nftables.conditions import field_values
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.rule_words import listed_values, rule_words
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    Chain,
    Element,
    Fib,
    Match,
    Meta,
    Payload,
    Rule,
    Ruleset,
    Selector,
    SetReference,
    Table,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
)
from ctpolicy.packetspace.fields import Family, Path, protocol_number
from ctpolicy.packetspace.interface_values import INTERFACE_BITS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import FOREST, Field, family_set, path_set

_FAMILIES: Final = {"ip": Family.IPV4, "ip6": Family.IPV6}
_ENDS: Final = {"saddr": Field.SOURCE, "daddr": Field.DESTINATION}
_PORTS: Final = {"sport": Field.SOURCE_PORT, "dport": Field.DESTINATION_PORT}
_EFFECTS: Final = {
    VerdictKind.ACCEPT: Effect.ACCEPT,
    VerdictKind.DROP: Effect.DROP,
    VerdictKind.CONTINUE: Effect.NEXT,
    VerdictKind.RETURN: Effect.RETURN,
    VerdictKind.JUMP: Effect.JUMP,
    VerdictKind.GOTO: Effect.GOTO,
}
_TAKINGS: Final = {
    "snat": Taking.SOURCE_NAT,
    "masquerade": Taking.MASQUERADE,
    "dnat": Taking.DESTINATION_NAT,
    "redirect": Taking.REDIRECT,
    "ct helper": Taking.HELPER,
    "ct count": Taking.LIMIT,
    "flow": Taking.OFFLOAD,
    "synproxy": Taking.SYNPROXY,
}
_XT_TARGETS: Final = {
    "SNAT": Taking.SOURCE_NAT,
    "MASQUERADE": Taking.MASQUERADE,
    "DNAT": Taking.DESTINATION_NAT,
    "NETMAP": Taking.DESTINATION_NAT,
    "REDIRECT": Taking.REDIRECT,
    "CONNMARK": Taking.MARK,
    "SYNPROXY": Taking.SYNPROXY,
    "connmark": Taking.MARK,
    "connlimit": Taking.LIMIT,
}
_ASKS_CONNTRACK: Final = frozenset({"conntrack", "state", "helper", "connmark", "connbytes", "connlabel", "connlimit"})


def stateful_tables(ruleset: Ruleset, shown_elsewhere: Iterable[tuple[str, str]] = ()) -> Iterator[StatefulTable]:
    """All tables but ours, and but those, by family and name, that another listing shows better."""
    left_out = {(TABLE_FAMILY, TABLE_NAME), *shown_elsewhere}
    for table in ruleset:
        sleeps = any(other.kind == "flags" and "dormant" in other.name for other in table.others)
        if table.family in {"ip", "ip6", "inet"} and (table.family, table.name) not in left_out and not sleeps:
            conditions = ((Field.FAMILY, family_set(_FAMILIES[table.family])),) if table.family in _FAMILIES else ()
            yield StatefulTable({chain.name: _chain(table, chain) for chain in table.chains}, conditions)


def _chain(table: Table, chain: Chain) -> StepChain:
    whose = owner(table.family, table.name, chain.name)
    place = f"table {table.family} {table.name}, chain {chain.name}" + (f" ({whose.name})" if whose else "")
    steps = tuple(step for rule in chain.rules for step in _RuleSteps(table, rule).steps())
    hook = chain.hook
    if hook is None:
        return StepChain(place, steps)
    return StepChain(place, steps, hook.hook, hook.type == "nat", hook.policy == "drop")


@dataclass(slots=True)
class _RuleSteps:
    """One rule while its statements are read: what has been asked so far."""

    table: Table
    rule: Rule
    so_far: Step = field(default_factory=Step)

    def steps(self) -> Iterator[Step]:
        """A step for each thing that the rule does."""
        self.so_far = Step(text=rule_words(self.rule))
        for statement in self.rule.statements:
            match statement:
                case Match(selector, operand, negated):
                    self._ask(selector, self._elements(operand), negated=negated)
                case Verdict(kind, chain):
                    yield replace(self.so_far, effect=_EFFECTS[kind], target=chain or "")
                case VerdictLookup(selector, pairs):
                    yield from self._looked_up(selector, pairs)
                case Unmodelled(text):
                    yield from self._unmodelled(json.loads(text))

    def _elements(self, operand: object) -> Sequence[Element] | None:
        match operand:
            case AnonymousSet(elements):
                return elements
            case SetReference(name):
                named = next((one for one in self.table.sets if one.name == name), None)
                return named.elements if named and not named.flags & {"dynamic", "timeout"} else None
            case str() | tuple():
                return (operand,)
        return None

    def _ask(self, selector: Selector, elements: Sequence[Element] | None, *, negated: bool = False) -> None:
        self.so_far = _asked(self.so_far, selector, elements, negated)

    def _looked_up(self, selector: Selector, pairs: str | AnonymousMap) -> Iterator[Step]:
        before = self.so_far
        if isinstance(pairs, str):
            named = next((one for one in self.table.maps if one.name == pairs), None)
            if named is None or named.flags & {"dynamic", "timeout"}:  # it may lead anywhere
                for chain in self.table.chains:
                    yield replace(before, is_open=True, effect=Effect.JUMP, target=chain.name)
                return
            elements = named.elements
        else:
            elements = pairs.elements
        for element, verdict in elements:
            step = _asked(before, selector, (element,), negated=False)
            yield replace(step, effect=_EFFECTS[verdict.kind], target=verdict.chain or "")

    def _unmodelled(self, listed: dict[str, Any]) -> Iterator[Step]:
        match listed:
            case {"match": {"op": str(op), "left": {"ct": dict(asked)}, "right": right}}:
                if asked.get("key") in {"mark", "label"}:
                    yield replace(self.so_far, taking=Taking.MARK)
                holds = asked.get("key") == "state" and ("untracked" in listed_values(right)) is not (op == "!=")
                self.so_far = replace(self.so_far, untracked=holds and self.so_far.untracked is not False)
            case {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": list(pairs)}}}:
                yield from (_by_state(self.so_far, *pair) for pair in pairs)
            case {"mangle": {"key": {"ct": {"key": "zone"}}}}:
                yield replace(self.so_far, taking=Taking.ZONE)
            case {"mangle": dict(change)}:
                if _names_ct(change):
                    yield replace(self.so_far, taking=Taking.MARK)
            case {"reject": _}:
                yield replace(self.so_far, effect=Effect.DROP)
            case {"xt": {"type": kind, "name": str(name)}}:
                yield from self._xt(kind, name)
            case _:
                yield from self._other(listed)

    def _xt(self, kind: str, name: str) -> Iterator[Step]:
        if name in _XT_TARGETS:
            yield replace(self.so_far, taking=_XT_TARGETS[name])
        if name == "REJECT":
            yield replace(self.so_far, effect=Effect.DROP)
        elif kind == "match" and name != "comment":
            untracked = False if name in _ASKS_CONNTRACK else self.so_far.untracked
            self.so_far = replace(self.so_far, is_open=True, untracked=untracked)

    def _other(self, listed: dict[str, Any]) -> Iterator[Step]:
        ((word, value),) = listed.items()
        taking = _TAKINGS.get(word)
        if taking is not None:
            port = value.get("port") if isinstance(value, dict) else None
            yield replace(self.so_far, taking=taking, port=port if isinstance(port, int) else None, is_open=True)
        if word in {"match", "limit", "quota", "socket", "ct count", "vmap"}:
            untracked = False if _names_ct(value) else self.so_far.untracked
            self.so_far = replace(self.so_far, is_open=True, untracked=untracked)
        for chain in _targets(value):
            yield replace(self.so_far, effect=Effect.JUMP, target=chain)


def _by_state(step: Step, state: object, verdict: object) -> Step:
    word, target = next(iter(verdict.items())) if isinstance(verdict, dict) else ("continue", None)
    effect = next((one for one in Effect if one.value == word), Effect.NEXT)
    chain = target.get("target", "") if isinstance(target, dict) else ""
    return replace(step, untracked=state == "untracked", effect=effect, target=chain)


def _names_ct(value: Any) -> bool:
    """Whether it asks or sets something of a connection."""
    if isinstance(value, dict):
        return "ct" in value or any(map(_names_ct, value.values()))
    return isinstance(value, list) and any(map(_names_ct, value))


def _targets(value: Any) -> Iterator[str]:
    match value:
        case {"jump": {"target": str(chain)}} | {"goto": {"target": str(chain)}}:
            yield chain
        case dict():
            for inner in value.values():
                yield from _targets(inner)
        case list():
            for inner in value:
                yield from _targets(inner)


def _asked(step: Step, selector: Selector, elements: Sequence[Element] | None, negated: bool) -> Step:
    """The step with one more question."""
    about, others = _field(selector)
    conditions = (*step.conditions, *others)
    if isinstance(selector, Fib):
        return _asked_of_routes(replace(step, conditions=conditions), selector, elements, negated)
    values = None if about is None or elements is None else _values(about, elements)
    if about is None or values is None:
        return replace(step, conditions=conditions, is_open=True)
    if negated:
        values = values.complement(INTERFACE_BITS if about is Field.INTERFACE else FOREST.largest[about].bit_length())
    return replace(step, conditions=(*conditions, (about, values)))


def _asked_of_routes(step: Step, selector: Fib, elements: Sequence[Element] | None, negated: bool) -> Step:
    """`fib daddr type local` holds for what this host takes; of broadcasts, not for all of that."""
    if selector == Fib("type", ("daddr",)) and elements and "local" in elements and not negated:
        return replace(step, is_open=True, conditions=(*step.conditions, (Field.PATH, path_set(Path.IN))))
    return replace(step, is_open=True)


def _field(selector: Selector) -> tuple[Field | None, tuple[Condition, ...]]:
    """The field that is asked for, and what packets must be to have it."""
    match selector:
        case Payload("ip" | "ip6" as word, "saddr" | "daddr" as end):
            return _ENDS[end], ((Field.FAMILY, family_set(_FAMILIES[word])),)
        case Payload("ip", "protocol"):
            return Field.PROTOCOL, ((Field.FAMILY, family_set(Family.IPV4)),)
        case Payload("ip6", _):
            return None, ((Field.FAMILY, family_set(Family.IPV6)),)
        case Payload(word, "sport" | "dport" as end):
            number = protocol_number(word)
            return _PORTS[end], () if number is None else ((Field.PROTOCOL, IntervalSet.single(number)),)
        case Payload(word, _) if (number := protocol_number(word)) is not None:
            return None, ((Field.PROTOCOL, IntervalSet.single(number)),)
        case Meta("l4proto"):
            return Field.PROTOCOL, ()
        case Meta("nfproto"):
            return Field.FAMILY, ()
        case Meta("iifname" | "oifname" | "iif" | "oif"):
            return Field.INTERFACE, ()
    return None, ()


def _values(about: Field, elements: Sequence[Element]) -> IntervalSet | None:
    if about is Field.FAMILY:
        words = {"ipv4": Family.IPV4, "ipv6": Family.IPV6}
        return family_set(*(words[one] for one in elements if isinstance(one, str) and one in words))
    return field_values(elements, about)
