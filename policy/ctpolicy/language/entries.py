"""Entries: from the keys under one `-` to an `Entry`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ctpolicy.language.diagnostics import nearest
from ctpolicy.language.match import match_fields
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.names import name_mistake
from ctpolicy.language.nodes import Mapping, Node, Scalar
from ctpolicy.language.overlay import tunnel
from ctpolicy.language.policy import Entry, Forward, HostClient, HostService, Match, Overlay, Ports
from ctpolicy.language.values import Values
from ctpolicy.packetspace.fields import Family, Path

EVERYWHERE: Final = ("name", "description", "acknowledge", "families")

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "overlay": ("peers", "paths", "interfaces"),
    "host-service": ("peers", "local", "interfaces"),
    "host-client": ("peers", "local", "interfaces"),
    "forward": ("clients", "servers"),
    "ports": ("paths", "interfaces"),
    "match": (),
}
"""The kinds of entries, by the key that makes one, and the other keys that go with it."""

_OTHER_KEYS: Final = frozenset(key for keys in KINDS.values() for key in keys)

Fields = dict[str, Any]
"""Constructor arguments: what `Entry` says of their types is checked where they are made."""


def read_entry(node: Mapping, values: Values) -> Entry | None:
    """The entry that a mapping is; None if it has a mistake, which has been told."""
    return _read(node, values, _common)


def read_traffic(node: Mapping, values: Values) -> Entry | None:
    """Packets that are told as an entry tells its own, without a name; None if there is a mistake, which was told."""
    return _read(node, values, _unnamed)


def _read(node: Mapping, values: Values, common: Callable[[Mapping, Values], Fields | None]) -> Entry | None:
    mistakes = values.mistakes
    before = mistakes.count
    kind = _kind(node, mistakes)
    fields = common(node, values)
    if kind is None or fields is None:
        return None
    _check_keys(node, kind, mistakes)
    own = _READERS[kind](node, values)
    if own is None or mistakes.count > before:
        return None
    return _CLASSES[kind](**fields, **own)


def _kind(node: Mapping, mistakes: Mistakes) -> str | None:
    present = [key for key in node.pairs if key in KINDS]
    if len(present) == 1:
        return present[0]
    kinds = ", ".join(KINDS)
    if not present and not node.is_torn:
        unknown = [key for key in node.pairs if key not in (*EVERYWHERE, *_OTHER_KEYS)]
        if not any(nearest(key, KINDS) for key in unknown[:5]):  # else the schema's stage says what was probably meant
            mistakes.tell(_anchor(node), "this entry does not say what traffic it is about", f"one of {kinds}")
    for extra in present[1:]:
        message = f"this entry is `{present[0]}` already, so it cannot be `{extra}` too"
        mistakes.tell(node.key(extra), message, "two entries")
    return None


def kind_of(node: Mapping) -> Node:
    """The value of the key that says what an entry's traffic is."""
    return next(value for key, _, value in node if key in KINDS)


def _anchor(node: Mapping) -> Mapping | Node:
    """What stands for an entry in a diagnostic: its name, if it has one."""
    return node.get("name") or node


def _check_keys(node: Mapping, kind: str, mistakes: Mistakes) -> None:
    for key, place, _ in node:
        if key in _OTHER_KEYS and key not in KINDS[kind]:
            theirs = ", ".join(name for name, keys in KINDS.items() if key in keys)
            expected = _inside_match(key) if kind == "match" else " or ".join(KINDS[kind])
            mistakes.tell(place, f"`{key}` does not go with `{kind}`, but with {theirs}", expected)


def _inside_match(key: str) -> str:
    return f"`{key}` inside `match`" if key in {"paths", "interfaces"} else "`source` and `destination` inside `match`"


def _common(node: Mapping, values: Values) -> Fields | None:
    name = node.get("name")
    if not isinstance(name, Scalar) or not isinstance(name.value, str):
        return None
    fields: Fields = {"name": name.value}
    if mistake := name_mistake(name.value):
        values.mistakes.tell(name, mistake.message, mistake.expected, mistake.suggestion)
        return None
    for key in ("description", "acknowledge"):
        text = node.get(key)
        if isinstance(text, Scalar) and isinstance(text.value, str):
            fields[key] = text.value
            if key == "acknowledge" and not text.value.strip():
                values.mistakes.tell(text, "`acknowledge` gives no reason", "why this may be bypassed, in a sentence")
    return _with_families(fields, node, values)


def _unnamed(node: Mapping, values: Values) -> Fields | None:
    return _with_families({"name": ""}, node, values)


def _with_families(fields: Fields, node: Mapping, values: Values) -> Fields | None:
    return _with(fields, node, {"families": lambda value: values.members(value, Family)})


def _with(fields: Fields, node: Mapping, readers: dict[str, Callable[[Node], object | None]]) -> Fields | None:
    """The fields, and those keys that are there, read; None if one of them could not be."""
    complete: Fields | None = fields
    for key, reader in readers.items():
        value = node.get(key)
        if value is None:
            continue
        found = reader(value)
        if found is None:
            complete = None
        elif complete is not None:
            complete[key.replace("-", "_")] = found
    return complete


def _overlay(node: Mapping, values: Values) -> Fields | None:
    found = tunnel(node.pairs["overlay"][1], values.mistakes)
    fields = _with({}, node, _readers("overlay", values))
    return None if found is None or fields is None else {"tunnel": found, **fields}


def _services(kind: str) -> Callable[[Mapping, Values], Fields | None]:
    def read(node: Mapping, values: Values) -> Fields | None:
        found = values.ports(node.pairs[kind][1])
        fields = _with({}, node, _readers(kind, values))
        if kind == "ports":
            _check_both_ways(node, values)
        return None if found is None or fields is None else {"services": found, **fields}

    return read


def _check_both_ways(node: Mapping, values: Values) -> None:
    paths = node.get("paths")
    chosen = values.members(paths, Path) if paths else None
    if paths and chosen is not None and (Path.IN in chosen) != (Path.OUT in chosen):
        message = "`in` and `out` go together here: one alone leaves half of each flow tracked"
        values.mistakes.tell(paths, message, "[in, out], [in, forward, out] or [forward]; `match` for one direction")


def _match(node: Mapping, values: Values) -> Fields | None:
    value = node.pairs["match"][1]
    return match_fields(value, values) if isinstance(value, Mapping) else None


def _readers(kind: str, values: Values) -> dict[str, Callable[[Node], object | None]]:
    readers: dict[str, Callable[[Node], object | None]] = {
        "paths": lambda value: values.members(value, Path),
        "interfaces": values.interfaces,
    }
    return {key: readers.get(key, values.addresses) for key in KINDS[kind]}


_READERS: Final[dict[str, Callable[[Mapping, Values], Fields | None]]] = {
    "overlay": _overlay,
    "host-service": _services("host-service"),
    "host-client": _services("host-client"),
    "forward": _services("forward"),
    "ports": _services("ports"),
    "match": _match,
}

_CLASSES: Final[dict[str, Callable[..., Entry]]] = {
    "overlay": Overlay,
    "host-service": HostService,
    "host-client": HostClient,
    "forward": Forward,
    "ports": Ports,
    "match": Match,
}
