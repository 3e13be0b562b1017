"""A rule for people: what ctpolicy does not model in words that are as near to nft's as is told."""

from __future__ import annotations

import json
from typing import Any

from ctpolicy.nftables.render_text import rule_text
from ctpolicy.nftables.ruleset import Rule, Statement, Unmodelled


def rule_words(rule: Rule) -> str:
    """The rule, for people: what ctpolicy does not model in words that are as near to nft's as is told."""
    return " ".join(filter(None, map(_words, rule.statements)))


def _words(statement: Statement) -> str:
    if not isinstance(statement, Unmodelled):
        return rule_text(Rule((statement,)))
    match json.loads(statement.json):
        case {"match": {"op": op, "left": {"ct": {"key": str(key)}}, "right": right}}:
            values = ",".join(map(str, listed_values(right)))
            return f"ct {key} {'!= ' if op == '!=' else ''}{values}"
        case {"vmap": {"key": {"ct": {"key": str(key)}}, "data": {"set": list(pairs)}}}:
            return f"ct {key} vmap {{ {', '.join(f'{one} : {next(iter(to))}' for one, to in pairs)} }}"
        case {"xt": {"type": str(kind), "name": str(name)}}:
            return f"-j {name}" if kind == "target" else f"-m {name}"
        case {"dnat": dict(where)} | {"snat": dict(where)} | {"redirect": dict(where)} as listed:
            port = f":{where['port']}" if isinstance(where.get("port"), int) else ""
            address = where.get("addr", "")
            return f"{next(iter(listed))} to {address if isinstance(address, str) else '...'}{port}"
        case {"mangle": {"key": key, "value": value}}:
            return f"{_named(key)} set {_named(value)}"
        case dict() as listed:
            return str(next(iter(listed)))
    return "..."


def _named(value: Any) -> str:
    match value:
        case {"ct": {"key": str(key)}} | {"meta": {"key": str(key)}} as named:
            return f"{next(iter(named))} {key}"
        case int() | str():
            return str(value)
    return "..."


def listed_values(right: Any) -> list[Any]:
    """The values that a field is compared with: one, several bits, or a set in the rule."""
    match right:
        case {"set": list(values)} | list(values):
            return values
    return [right]
