"""libnftables' JSON listing to tables: the inverse of rendering.

What ctpolicy never makes is kept, as `Unmodelled`, `Other` or an attribute's JSON, so that a table that somebody
has edited is seen to differ, and a foreign one can be read at all.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ctpolicy.errors import InputError
from ctpolicy.nftables.ruleset import (
    BaseHook,
    Chain,
    Counter,
    Datatype,
    Fib,
    Match,
    Meta,
    Notrack,
    Operand,
    Other,
    Payload,
    Rule,
    Ruleset,
    Selector,
    Set,
    SetReference,
    Statement,
    Table,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
    VerdictMap,
    datatype,
)
from ctpolicy.nftables.values import parse_element

Json = dict[str, Any]

_HEADER = {"family", "table", "name", "handle", "type", "map", "flags", "elem"}

_VERDICT_KINDS = {kind.value: kind for kind in VerdictKind}


class _NotModelledError(Exception):
    """What is being read has no type of ours."""


def read_text(listing: str) -> Ruleset:
    """Tables from what `nft -j list ruleset`, or `list table`, prints.

    Raises:
        InputError: it is no such listing.
    """
    try:
        document = json.loads(listing)
    except (ValueError, RecursionError) as error:
        raise InputError(f"This is not JSON as `nft -j list ruleset` prints it: {error}.") from error
    return read_document(document)


def read_document(document: Any) -> Ruleset:
    """Tables from a listing that has been parsed, sorted by family and name.

    Raises:
        InputError: it is no listing of libnftables.
    """
    match document:
        case {"nftables": list(objects)}:
            pass
        case _:
            raise InputError("This is not a listing of nftables: it has no list `nftables` at its top.")
    tables: dict[tuple[str, str], _TableParts] = defaultdict(_TableParts)
    try:
        for listed in objects:
            for kind, body in listed.items():
                _add_object(tables, kind, body)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"This is not a listing of nftables: an object in it is malformed ({error!r}).") from error
    return tuple(tables[key].table(*key) for key in sorted(tables))


def find_table(ruleset: Ruleset, family: str, name: str) -> Table | None:
    """The table of this family and name."""
    return next((table for table in ruleset if (table.family, table.name) == (family, name)), None)


@dataclass(slots=True)
class _TableParts:
    chains: dict[str, BaseHook | None] = field(default_factory=dict)
    rules: dict[str, list[Rule]] = field(default_factory=lambda: defaultdict(list))
    sets: list[Set] = field(default_factory=list)
    maps: list[VerdictMap] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)

    def table(self, family: str, name: str) -> Table:
        chains = (Chain(chain, self.chains[chain], tuple(self.rules[chain])) for chain in sorted(self.chains))
        return Table(family, name, tuple(chains), _sorted(self.sets), _sorted(self.maps), _sorted(self.others))


def _sorted(objects: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(objects, key=lambda named: named.name))


def _add_object(tables: dict[tuple[str, str], _TableParts], kind: str, body: Json) -> None:
    if kind == "metainfo":
        return
    if kind == "table":
        tables[body["family"], body["name"]]
        return
    parts = tables[body["family"], body["table"]]
    match kind:
        case "chain":
            parts.chains[body["name"]] = _hook(body)
        case "rule":
            parts.rules[body["chain"]].append(_rule(body))
        case "set" | "map":
            holder = _holder(body)
            if isinstance(holder, Set):
                parts.sets.append(holder)
            elif isinstance(holder, VerdictMap):
                parts.maps.append(holder)
            else:
                parts.others.append(holder)
        case "element":
            pass  # listed once more with its set
        case _:
            parts.others.append(Other(kind, str(body.get("name", body.get("handle", "")))))


def _hook(body: Json) -> BaseHook | None:
    if "hook" not in body:
        return None
    return BaseHook(body["type"], body["hook"], body["prio"], body.get("policy", "accept"), body.get("dev"))


def _rule(body: Json) -> Rule:
    statements = tuple(_statement(statement) for statement in body["expr"])
    return Rule(statements, body.get("comment"), body.get("handle"))


def _holder(body: Json) -> Set | VerdictMap | Other:
    """A set or a verdict map; what has another kind of values or of elements is an object of another kind."""
    kind = "map" if "map" in body else "set"
    flags = body.get("flags", [])
    shared = (frozenset([flags] if isinstance(flags, str) else flags), _canonical(_unknown_attributes(body)))
    try:
        key_type = _type(body)
        if kind == "set":
            elements = tuple(sorted(parse_element(value, key_type) for value in body.get("elem", [])))
            return Set(body["name"], key_type.value, shared[0], elements, shared[1])
        pairs = sorted(
            ((parse_element(key, key_type), _verdict(value)) for key, value in body.get("elem", [])),
            key=lambda pair: pair[0],
        )
        return VerdictMap(body["name"], key_type.value, shared[0], tuple(pairs), shared[1])
    except (_NotModelledError, ValueError, TypeError):
        return Other(kind, body["name"])


def _type(body: Json) -> Datatype:
    if body.get("map", "verdict") != "verdict":
        raise _NotModelledError
    return Datatype(body["type"])


def _unknown_attributes(body: Json) -> Json:
    return {key: value for key, value in body.items() if key not in _HEADER}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if value else ""


def _statement(statement: Json) -> Statement:
    try:
        return _known_statement(statement)
    except (_NotModelledError, ValueError):
        return Unmodelled(json.dumps(statement, sort_keys=True, separators=(",", ":")))


def _known_statement(statement: Json) -> Statement:
    match statement:
        case {"match": {"op": "==" | "!=" as op, "left": left, "right": right}}:
            selector = _selector(left)
            return Match(selector, _operand(right, selector), negated=op == "!=")
        case {"counter": {"packets": int(packets), "bytes": int(size)}}:
            return Counter(packets, size)
        case {"counter": None}:
            return Counter()
        case {"notrack": None}:
            return Notrack()
        case {"vmap": {"key": key, "data": str(name)}} if name.startswith("@"):
            return VerdictLookup(_selector(key), name[1:])
    return _verdict(statement)


def _verdict(value: Json) -> Verdict:
    ((word, target),) = value.items()
    if word in {"jump", "goto"} and isinstance(target, dict):
        return Verdict(_VERDICT_KINDS[word], target["target"])
    if word not in _VERDICT_KINDS or target is not None:
        raise _NotModelledError
    return Verdict(_VERDICT_KINDS[word])


def _selector(value: Json) -> Selector:
    match value:
        case {"payload": {"protocol": str(protocol), "field": str(name)}}:
            return Payload(protocol, name)
        case {"meta": {"key": str(key)}}:
            return Meta(key)
        case {"fib": {"result": str(result), "flags": flags}}:
            return Fib(result, (flags,) if isinstance(flags, str) else tuple(flags))
    raise _NotModelledError


def _operand(value: Any, selector: Selector) -> Operand:
    if isinstance(value, str) and value.startswith("@"):
        return SetReference(value[1:])
    key_type = datatype(selector)
    if key_type is not None:
        return parse_element(value, key_type)
    if isinstance(value, str):
        return value
    raise _NotModelledError
