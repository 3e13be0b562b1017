"""A rule's statements, and elements of sets, from libnftables' JSON.

A statement that ctpolicy does not model becomes `Unmodelled`: a selector with more to it than is known here (the
`tunnel` of an inner header, say) must never be read as the plain one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    AnonymousSet,
    Concatenation,
    Counter,
    Datatype,
    Element,
    Fib,
    Match,
    Meta,
    Notrack,
    Operand,
    Payload,
    Selector,
    SetReference,
    Statement,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
    datatype,
    key_types,
)
from ctpolicy.nftables.values import parse_key, parse_v4_elements

Json = dict[str, Any]

_HARMLESS: Final = {"val", "comment", "counter"}
"""What an element may have that does not decide who is in the set. One with a timeout may go, with a limit refuse."""

_VERDICT_KINDS: Final = {kind.value: kind for kind in VerdictKind}


class NotModelledError(Exception):
    """What is being read has no type of ours."""


def read_statement(listed: Json) -> Statement:
    """A statement, whether it is modelled or not."""
    try:
        return _known_statement(listed)
    except (NotModelledError, ValueError):
        return Unmodelled(json.dumps(listed, sort_keys=True, separators=(",", ":")))


def _known_statement(listed: Json) -> Statement:
    match listed:
        case {"match": {"op": "==" | "!=" as op, "left": left, "right": right}}:
            selector = read_selector(left)
            return Match(selector, _operand(right, selector), negated=op == "!=")
        case {"match": {"op": "<" | ">" | "<=" | ">=" as op, "left": left, "right": int(bound)}}:
            selector = read_selector(left)
            return Match(selector, _compared(op, bound, selector))
        case {"counter": {"packets": int(packets), "bytes": int(size)}}:
            return Counter(packets, size)
        case {"counter": None}:
            return Counter()
        case {"notrack": None}:
            return Notrack()
        case {"vmap": {"key": key, "data": str(name)}} if name.startswith("@"):
            return VerdictLookup(read_selector(key), name[1:])
        case {"vmap": {"key": key, "data": {"set": list(pairs)}}}:
            selector = read_selector(key)
            return VerdictLookup(selector, AnonymousMap(read_pairs(pairs, known_types(selector))))
    return _verdict(listed)


def _verdict(value: Json) -> Verdict:
    ((word, target),) = value.items()
    if word in {"jump", "goto"} and isinstance(target, dict):
        return Verdict(_VERDICT_KINDS[word], target["target"])
    if word not in _VERDICT_KINDS or target is not None:
        raise NotModelledError
    return Verdict(_VERDICT_KINDS[word])


def read_selector(value: Json) -> Selector:
    """What is asked of a packet.

    Raises:
        NotModelledError: ctpolicy does not know it.
    """
    match value:
        case {"payload": {"protocol": str(protocol), "field": str(name), **others}} if not others:
            return Payload(protocol, name)
        case {"meta": {"key": str(key), **others}} if not others:
            return Meta(key)
        case {"fib": {"result": str(result), "flags": flags, **others}} if not others:
            return Fib(result, (flags,) if isinstance(flags, str) else tuple(flags))
        case {"concat": list(parts)}:
            selectors = tuple(map(read_selector, parts))
            return Concatenation(tuple(part for part in selectors if not isinstance(part, Concatenation)))
    raise NotModelledError


def _operand(value: Any, selector: Selector) -> Operand:
    if isinstance(value, str) and value.startswith("@"):
        return SetReference(value[1:])
    if isinstance(value, dict) and isinstance(value.get("set"), list):
        return AnonymousSet(tuple(sorted(_element(_bare(element), selector) for element in value["set"])))
    return _element(value, selector)


def _element(value: Any, selector: Selector) -> Element:
    types = key_types(selector)
    if types is None:
        if isinstance(value, str):
            return value
        raise NotModelledError
    if isinstance(selector, Meta) and selector.key in {"iif", "oif"} and str(value).endswith("*"):
        raise NotModelledError  # one interface whose name ends so, not a pattern
    return parse_key(value, types)


def _compared(op: str, bound: int, selector: Selector) -> Element:
    """The ports on one side of a bound."""
    if datatype(selector) is not Datatype.PORT:
        raise NotModelledError
    first, last = {"<": (0, bound - 1), "<=": (0, bound), ">": (bound + 1, 65535), ">=": (bound, 65535)}[op]
    if first > last:
        raise NotModelledError
    return first, last


def read_elements(listed: Iterable[Any], types: Sequence[Datatype]) -> tuple[Element, ...]:
    """The elements of a set, sorted."""
    if list(types) == [Datatype.IPV4_ADDRESS]:
        return tuple(sorted(parse_v4_elements(map(_bare, listed))))
    return tuple(sorted(parse_key(_bare(value), types) for value in listed))


def read_pairs(listed: Iterable[Any], types: Sequence[Datatype]) -> tuple[tuple[Element, Verdict], ...]:
    """The pairs of a verdict map, sorted by element."""
    found = ((parse_key(_bare(key), types), _verdict(value)) for key, value in listed)
    return tuple(sorted(found, key=lambda pair: pair[0]))


def is_adorned(value: Any) -> bool:
    """Whether an element has more to it than its value."""
    return isinstance(value, dict) and "elem" in value


def _bare(value: Any) -> Any:
    """An element without its comment and counter."""
    if is_adorned(value) and value["elem"].keys() <= _HARMLESS:
        return value["elem"]["val"]
    return value


def known_types(selector: Selector) -> tuple[Datatype, ...]:
    """The types of the fields that a selector asks.

    Raises:
        NotModelledError: one has none here.
    """
    types = key_types(selector)
    if types is None:
        raise NotModelledError
    return types
