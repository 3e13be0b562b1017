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
from ctpolicy.nftables.read_rules import (
    NotModelledError,
    is_adorned,
    known_types,
    read_elements,
    read_pairs,
    read_selector,
    read_statement,
)
from ctpolicy.nftables.ruleset import (
    FLAGS,
    BaseHook,
    Chain,
    Datatype,
    Other,
    Rule,
    Ruleset,
    Set,
    Table,
    VerdictMap,
    types_name,
)

Json = dict[str, Any]

_HEADER = {"family", "table", "name", "handle", "type", "map", "flags", "elem", "comment"}
"""A set's comment decides nothing, as those of tables and chains; nft 1.0.6 takes none of them back as JSON."""


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
        return tuple(tables[key].table(*key) for key in sorted(tables))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"This is not a listing of nftables: an object in it is malformed ({error!r}).") from error


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
        table = tables[body["family"], body["name"]]
        if "flags" in body:  # `dormant`, for one: its chains see no packet. nft 1.0.6 prints the table's name for it
            table.others.append(Other(FLAGS, str(body["flags"])))
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
    if not isinstance(body["prio"], int):  # as nobody lists it; libnftables takes a word for no hook at all (1.0.6)
        raise TypeError(f"{body['prio']!r} is no priority")
    return BaseHook(body["type"], body["hook"], body["prio"], body.get("policy", "accept"), body.get("dev"))


def _rule(body: Json) -> Rule:
    statements = tuple(read_statement(statement) for statement in body["expr"])
    return Rule(statements, body.get("comment"), body.get("handle"))


def _holder(body: Json) -> Set | VerdictMap | Other:
    """A set or a verdict map; what has another kind of values or of elements is an object of another kind."""
    kind = "map" if "map" in body else "set"
    flags = body.get("flags", [])
    shared = (frozenset([flags] if isinstance(flags, str) else flags), _canonical(_unknown_attributes(body)))
    listed = body.get("elem", [])
    try:
        types = _types(body)
        if kind == "set":
            return Set(body["name"], types_name(types), shared[0], read_elements(listed, types), shared[1])
        return VerdictMap(body["name"], types_name(types), shared[0], read_pairs(listed, types), shared[1])
    except (NotModelledError, ValueError, TypeError):
        return Other(kind, body["name"])


def _types(body: Json) -> tuple[Datatype, ...]:
    if body.get("map", "verdict") != "verdict":
        raise NotModelledError
    match body["type"]:
        case list(words):
            return tuple(map(Datatype, words))
        case {"typeof": selector}:  # as nft 1.1 lists a set that was made with `typeof`
            return known_types(read_selector(selector))
    return (Datatype(body["type"]),)


def _unknown_attributes(body: Json) -> Json:
    """What a set has that ours never have; `adorned` are elements with a comment or a counter."""
    adorned = [value for value in body.get("elem", []) if is_adorned(value[0] if isinstance(value, list) else value)]
    return {key: value for key, value in body.items() if key not in _HEADER} | ({"adorned": adorned} if adorned else {})


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":")) if value else ""
