"""All tables of iptables as rules that may need conntrack, whoever wrote them (netfilter/stateful.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ctpolicy.iptables.read import read_table
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    Chain,
    End,
    InSet,
    Interface,
    IpSet,
    Match,
    Multiport,
    Port,
    Protocol,
    RawTable,
    Rule,
    UnmodelledMatch,
    UnmodelledTarget,
    Variant,
    Verdict,
    VerdictKind,
)
from ctpolicy.netfilter.owners import owner
from ctpolicy.netfilter.stateful import Effect, StatefulTable, Step, StepChain, Taking
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, pattern_interval
from ctpolicy.packetspace.interfaces import LONGEST_NAME
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import FOREST, Field, family_set, path_set

TABLES: Final = ("raw", "mangle", "nat", "filter", "security")

_WORDS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}
_EFFECTS: Final = {
    VerdictKind.ACCEPT: Effect.ACCEPT,
    VerdictKind.DROP: Effect.DROP,
    VerdictKind.RETURN: Effect.RETURN,
    VerdictKind.JUMP: Effect.JUMP,
    VerdictKind.GOTO: Effect.GOTO,
}
_TAKINGS: Final = {
    "SNAT": Taking.SOURCE_NAT,
    "MASQUERADE": Taking.MASQUERADE,
    "DNAT": Taking.DESTINATION_NAT,
    "NETMAP": Taking.DESTINATION_NAT,
    "REDIRECT": Taking.REDIRECT,
    "CONNMARK": Taking.MARK,
    "CONNSECMARK": Taking.MARK,
    "SYNPROXY": Taking.SYNPROXY,
    "FLOWOFFLOAD": Taking.OFFLOAD,
}
_MODULES: Final = {"connmark": Taking.MARK, "connlimit": Taking.LIMIT}
_ASKS_CONNTRACK: Final = frozenset({"conntrack", "state", "helper", "connmark", "connbytes", "connlabel", "connlimit"})
_STATES: Final = re.compile(r"-m (?:conntrack|state) (! )?--(?:ct)?state (\S+)")
_MODULE: Final = re.compile(r"-m (\w+)")
_TO_PORT: Final = re.compile(r"--to-(?:destination \S*:|ports )(\d+)\b(?!-)")


def stateful_tables(
    listing: str, family: Family, variant: Variant, sets: Sequence[IpSet] = ()
) -> Iterator[tuple[str, StatefulTable]]:
    """Each table, with its name, in what `iptables-save` (ipv4) or `ip6tables-save` (ipv6) prints.

    Raises:
        InputError: it is no such listing, or was cut.
    """
    for name in TABLES:
        table = read_table(listing, family, name)
        if table is not None:
            yield name, _table(table, name, family, variant, {one.name: one for one in sets})


def _table(table: RawTable, name: str, family: Family, variant: Variant, sets: dict[str, IpSet]) -> StatefulTable:
    chains = {chain.name: _chain(chain, name, family, variant, sets) for chain in table.chains}
    return StatefulTable(chains, ((Field.FAMILY, family_set(family)),))


def _chain(chain: Chain, table: str, family: Family, variant: Variant, sets: dict[str, IpSet]) -> StepChain:
    whose = owner(_WORDS[family], table, chain.name)
    tool = "iptables" if family is Family.IPV4 else "ip6tables"
    known = f" ({whose.name})" if whose and whose.name != "iptables-nft" else ""
    place = f"{tool}-{variant.value} table {table}, chain {chain.name}{known}"
    steps = tuple(step for rule in chain.rules for step in _steps(rule, sets))
    hook = chain.name.lower() if chain.policy is not None else ""
    return StepChain(place, steps, hook, table == "nat", chain.policy == "DROP")


def _steps(rule: Rule, sets: dict[str, IpSet]) -> Iterator[Step]:
    step = Step(text=rule.spelling)
    for match in rule.matches:
        module = _MODULE.match(match.text) if isinstance(match, UnmodelledMatch) else None
        if module and module[1] in _MODULES:
            yield replace(step, taking=_MODULES[module[1]])
        step = _asked(step, match, sets)
    match rule.target:
        case Verdict(kind, chain):
            yield replace(step, effect=_EFFECTS[kind], target=chain or "")
        case UnmodelledTarget(text):
            yield _target(step, text)


def _target(step: Step, text: str) -> Step:
    word = text.split()[1]
    if word == "REJECT":
        return replace(step, effect=Effect.DROP)
    if word == "CT":
        taking = Taking.HELPER if "--helper" in text else Taking.ZONE if "--zone" in text else None
        return replace(step, taking=taking)
    if word not in _TAKINGS:
        return step
    port = _TO_PORT.search(text)
    return replace(step, taking=_TAKINGS[word], port=int(port[1]) if port else None)


def _asked(step: Step, match: Match, sets: dict[str, IpSet]) -> Step:
    """The step with one more question."""
    match match:
        case Address(end, interval, negated) | AddressRange(end, interval, negated):
            return _with(step, _address(end), IntervalSet((interval,)), negated)
        case Protocol(number, negated):
            return _with(step, Field.PROTOCOL, IntervalSet.single(number), negated)
        case Port(module, end, interval, negated):
            within = _with(step, Field.PROTOCOL, IntervalSet.single(PROTOCOL_NUMBERS[module]), False)
            return _with(within, _port(end), IntervalSet((interval,)), negated)
        case Multiport(End.SOURCE | End.DESTINATION as end, intervals, negated):
            return _with(step, _port(end), IntervalSet.of(intervals), negated)
        case Interface(_, pattern, negated) if pattern != "+" and len(pattern) <= LONGEST_NAME and pattern.isascii():
            wanted = f"{pattern[:-1]}*" if pattern.endswith("+") else pattern
            return _with(step, Field.INTERFACE, IntervalSet((pattern_interval(wanted),)), negated)
        case AddressType(End.DESTINATION, types, False) if "LOCAL" in types:
            return replace(step, is_open=True, conditions=(*step.conditions, (Field.PATH, path_set(Path.IN))))
        case InSet(name, (end,), negated) if name in sets and not sets[name].unmodelled and sets[name].family:
            return _with(step, _address(end), sets[name].values, negated)
        case UnmodelledMatch(text):
            return _unmodelled(step, text)
    return replace(step, is_open=True)


def _unmodelled(step: Step, text: str) -> Step:
    if text.startswith("-m comment "):
        return step
    states = _STATES.fullmatch(text)
    if states:
        holds = ("UNTRACKED" in states[2].split(",")) is (states[1] is None)
        return replace(step, untracked=holds and step.untracked is not False)
    module = _MODULE.match(text)
    asks = module is not None and module[1] in _ASKS_CONNTRACK
    return replace(step, is_open=True, untracked=False if asks else step.untracked)


def _with(step: Step, field: Field, values: IntervalSet, negated: bool) -> Step:
    if negated:
        values = values.complement(INTERFACE_BITS if field is Field.INTERFACE else FOREST.largest[field].bit_length())
    return replace(step, conditions=(*step.conditions, (field, values)))


def _address(end: End) -> Field:
    return Field.SOURCE if end is End.SOURCE else Field.DESTINATION


def _port(end: End) -> Field:
    return Field.SOURCE_PORT if end is End.SOURCE else Field.DESTINATION_PORT
