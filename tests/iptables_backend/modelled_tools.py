"""The raw tables and ipsets of a host as a value, changed step by step as the tools change them.

Each line of `ipset restore` is a state that packets meet; a table changes in one go. So a law can look at all states
between two, where a test with packets only sees those that packets happen to meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ctpolicy.iptables.prefixes import prefixes
from ctpolicy.iptables.read_rules import read_rule
from ctpolicy.iptables.ruleset import Chain, IpSet, RawTable, RawTables, Rule
from ctpolicy.iptables.transaction import Step
from ctpolicy.iptables.values import parse_ports, parse_prefix
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_RULE = re.compile(r"\[(\d+):(\d+)\] -A (\S+) (.*)")


class RefusedByModelError(Exception):
    """What the kernel would refuse."""


def states(tables: RawTables, steps: Iterator[Step]) -> Iterator[RawTables]:
    """Every state that a packet can meet while these steps are carried out, the first left out.

    Elements that come or go one after the other with nothing else between are one state: the laws that this is for
    are about sets that only grow, or only shrink, meanwhile.
    """
    for step in steps:
        if step.family is not None:
            tables = _table_changed(tables, step.family, step.text)
            yield tables
            continue
        command = ""
        for line in step.text.splitlines():
            if command and line.split()[:2] != command.split()[:2]:
                yield tables
            command = line
            tables = _sets_changed(tables, line.split())
        yield tables


def _sets_changed(tables: RawTables, words: list[str]) -> RawTables:
    sets = {one.name: one for one in tables.sets}
    match words:
        case ["create", name, set_type, *options]:
            _refuse_if(name in sets, f"{name} exists")
            family = Family.IPV6 if "inet6" in options else None if set_type == "bitmap:port" else Family.IPV4
            most = int(options[options.index("maxelem") + 1]) if "maxelem" in options else 65_536
            sets[name] = IpSet(name, set_type, family, most=most)
        case ["add", name, element]:
            sets[name] = _with(sets[name], {*_live(sets[name]), *_elements(sets[name], element)})
            _refuse_if(len(_live(sets[name])) > sets[name].most, f"{name} is full")
        case ["del", name, element]:
            gone = set(_elements(sets[name], element))
            _refuse_if(not gone <= set(_live(sets[name])), f"{element} is not in {name}")
            sets[name] = _with(sets[name], set(_live(sets[name])) - gone)
        case ["swap", one, other]:
            sets[one], sets[other] = replace(sets[other], name=one), replace(sets[one], name=other)
        case ["destroy", name]:
            asked = (str(rule.matches) for table in tables.tables.values() for c in table.chains for rule in c.rules)
            _refuse_if(any(f"'{name}'" in text for text in asked), f"{name} is in use")
            del sets[name]
        case _:
            raise RefusedByModelError(" ".join(words))
    return replace(tables, sets=tuple(sets[name] for name in sorted(sets)))


def _refuse_if(wrong: bool, why: str) -> None:
    if wrong:
        raise RefusedByModelError(why)


def _live(one: IpSet) -> tuple[Interval, ...]:
    return one.live if one.family else tuple((p, p) for first, last in one.values for p in range(first, last + 1))


def _with(one: IpSet, elements: set[Interval]) -> IpSet:
    return replace(one, values=IntervalSet.of(elements), live=tuple(sorted(elements)) if one.family else ())


def _elements(one: IpSet, text: str) -> Iterator[Interval]:
    if one.family:
        yield from prefixes(IntervalSet((parse_prefix(text, one.family),)), one.family.bits)
    else:
        first, last = parse_ports(text, "-")
        yield from ((port, port) for port in range(first, last + 1))


def _table_changed(tables: RawTables, family: Family, text: str) -> RawTables:
    table = tables.tables.get(family, RawTable())
    chains: dict[str, list[Rule]] = {"PREROUTING": [], "OUTPUT": []}
    chains |= {chain.name: list(chain.rules) for chain in table.chains}
    lines = text.splitlines()
    chains |= {line[1:].split()[0]: [] for line in lines if line.startswith(":")}
    known = {name: Chain(name) for name in chains}
    for line in lines:
        if rule := _RULE.fullmatch(line):
            chains[rule[3]].append(replace(read_rule(rule[4], family, known), packets=int(rule[1])))
        elif line.startswith("-D "):
            _, name, words = line.split(" ", 2)
            chains[name].remove(read_rule(words, family, known))
        elif line.startswith("-I "):
            _, name, place, words = line.split(" ", 3)
            _refuse_if(int(place) > len(chains[name]) + 1, line)
            chains[name].insert(int(place) - 1, read_rule(words, family, known))
        elif line.startswith("-X "):
            _refuse_if(bool(chains.pop(line[3:])), line)
    policies = {"PREROUTING": "ACCEPT", "OUTPUT": "ACCEPT"}
    made = tuple(Chain(name, tuple(chains[name]), policies.get(name)) for name in sorted(chains))
    return replace(tables, tables={**tables.tables, family: RawTable(made)})
