"""Listings of nftables for tests: rules as `nft -j list ruleset` has them, in few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ctpolicy.hazards.rules import HostRules, Step
from ctpolicy.nftables.host_rules import host_rules
from ctpolicy.nftables.read import read_document

Expression = dict[str, Any]
Rule = Sequence[Expression]

ACCEPT: Expression = {"accept": None}
DROP: Expression = {"drop": None}


def match(left: Expression, right: Any, op: str = "==") -> Expression:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(text: str) -> Expression:
    protocol, field = text.split()
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> Expression:
    return {"meta": {"key": key}}


def state(*words: str) -> Expression:
    return match({"ct": {"key": "state"}}, list(words), "in")


def jump(chain: str, word: str = "jump") -> Expression:
    return {word: {"target": chain}}


def chain(*rules: Rule, hook: str = "", priority: int = 0, kind: str = "filter", policy: str = "accept") -> Expression:
    base = {"type": kind, "hook": hook, "prio": priority, "policy": policy} if hook else {}
    return {"base": base, "rules": rules}


def table(name: str, chains: Mapping[str, Expression], family: str = "inet") -> list[Expression]:
    found: list[Expression] = [{"table": {"family": family, "name": name}}]
    of = {"family": family, "table": name}
    found += [{"chain": {**of, "name": one, **body["base"]}} for one, body in chains.items()]
    for one, body in chains.items():
        found += [{"rule": {**of, "chain": one, "expr": list(rule)}} for rule in body["rules"]]
    return found


def host(*tables: list[Expression]) -> HostRules:
    return host_rules(read_document({"nftables": [listed for one in tables for listed in one]}))


def steps_of(*expressions: Expression) -> list[Step]:
    """The steps of one rule, in a chain of a table with an empty chain `other`."""
    read = host(table("t", {"other": chain(), "c": chain(expressions)}))
    return list(read.tables[0].chains["c"].steps)


def all_steps(read: HostRules) -> Iterator[Step]:
    for one in read.tables:
        for each in one.chains.values():
            yield from each.steps
