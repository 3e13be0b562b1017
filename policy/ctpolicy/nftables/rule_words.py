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
    listed = json.loads(statement.json)
    match listed:
        case {"match": {"op": op, "left": left, "right": right}}:
            sign = "" if op == "in" or (op == "==" and "&" not in left) else f"{op} "
            return f"{_asked(left)} {sign}{_values(right)}"
        case {"vmap": {"key": key, "data": {"set": list(pairs)}}}:
            return f"{_asked(key)} vmap {{ {', '.join(f'{_value(one)} : {_verdict(to)}' for one, to in pairs)} }}"
        case {"vmap": {"key": key, "data": data}}:
            return f"{_asked(key)} vmap {_value(data)}"
        case {"xt": {"type": str(kind), "name": str(name)}}:
            return f"-j {name}" if kind == "target" else f"-m {name}"
        case {"dnat": dict(where)} | {"snat": dict(where)} | {"redirect": dict(where)}:
            port = f":{where['port']}" if isinstance(where.get("port"), int) else ""
            address = where.get("addr", "")
            return f"{next(iter(listed))} to {address if isinstance(address, str) else '...'}{port}"
        case {"mangle": {"key": key, "value": value}}:
            return f"{_asked(key)} set {_asked(value)}"
        case {"limit": {"rate": int(rate), "per": str(per), **others}}:
            return f"limit rate {'over ' if others.get('inv') else ''}{rate}/{per}"
        case {"ct count": {"val": int(most), **others}}:
            return f"ct count {'over ' if others.get('inv') else ''}{most}"
        case {"reject": {"type": str(kind), "expr": str(how)}}:
            return f"reject with {kind} {how}"
        case {"reject": {"type": str(kind)}}:
            return f"reject with {kind}"
        case {"ct helper": str(name)}:
            return f'ct helper set "{name}"'
        case {"flow": {"op": str(op), "flowtable": str(name)}}:
            return f"flow {op} {name}"
        case {"log": {"prefix": str(prefix)}}:
            return f'log prefix "{prefix}"'
    return str(next(iter(listed)))


def _asked(value: Any) -> str:
    """What is asked, or computed, of a packet."""
    match value:
        case {"ct": {"key": str(key), "dir": str(direction)}}:
            return f"ct {direction} {key}"
        case {"ct": {"key": str(key)}} | {"meta": {"key": str(key)}}:
            return f"{next(iter(value))} {key}"
        case {"payload": {"protocol": str(protocol), "field": str(field)}}:
            return f"{protocol} {field}"
        case {"fib": {"result": result, "flags": flags}}:
            return f"fib {' . '.join(listed_values(flags))} {result}"
        case {"concat": list(parts)}:
            return " . ".join(map(_asked, parts))
        case {"exthdr": {"name": str(name), **others}}:
            return f"exthdr {name}" + (f" {others['field']}" if "field" in others else "")
        case {"numgen": {"mode": mode, "mod": mod}}:
            return f"numgen {mode} mod {mod}"
        case dict() if len(value) == 1 and (operator := next(iter(value))) in {"&", "|", "^", "<<", ">>"}:
            return f" {operator} ".join(_operand(part) for part in value[operator])
        case dict():
            return str(next(iter(value)))
    return _value(value)


def _operand(part: Any) -> str:
    return f"({' | '.join(map(_value, part))})" if isinstance(part, list) else _asked(part)


def _values(right: Any) -> str:
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        return f"{{ {', '.join(map(_value, right['set']))} }}"
    return ",".join(map(_value, right)) if isinstance(right, list) else _value(right)


def _value(value: Any) -> str:
    match value:
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{_value(first)}-{_value(last)}"
        case {"concat": list(parts)}:
            return " . ".join(map(_value, parts))
        case {"|": list(parts)}:
            return "|".join(map(_value, parts))
        case bool():
            return "exists" if value else "missing"
        case int() | str():
            return str(value)
    return "..."


def _verdict(to: Any) -> str:
    match to:
        case {"jump": {"target": str(chain)}} | {"goto": {"target": str(chain)}}:
            return f"{next(iter(to))} {chain}"
        case dict():
            return str(next(iter(to)))
    return "..."


def listed_values(right: Any) -> list[Any]:
    """The values that a field is compared with: one, several bits, or a set in the rule."""
    match right:
        case {"set": list(values)} | list(values):
            return values
    return [right]
