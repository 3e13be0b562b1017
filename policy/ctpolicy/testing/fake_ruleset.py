"""Tables of nf_tables in memory: what is in them, what it leads to, and what the kernel refuses of it.

Values are compared, and overlaps seen, where `nftables.ruleset.Datatype` knows their type; else by their spelling.
Rules are kept as they are spelled: give them the spelling that nft lists. Types are not checked against each other.
Intervals that overlap are always refused; nft 1.0.6 takes some where a set is declared once more, and cuts one off.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from ctpolicy.errors import RefusedError
from ctpolicy.nftables.ruleset import Datatype, Element, Joined
from ctpolicy.nftables.values import key_json, parse_key

Json = dict[str, Any]

MISSING: Final = "No such file or directory"
EXISTS: Final = "File exists"
BUSY: Final = "Device or resource busy"
UNSUPPORTED: Final = "Operation not supported"
TOO_DEEP: Final = "Too many links"

_MOST_JUMPS: Final = 15
"""One after the other, from a base chain (Linux 6.18, NFT_JUMP_STACK_SIZE)."""
_HOOK: Final = ("type", "hook", "prio", "policy")


def refuse_if(wrong: bool, why: str) -> None:
    """Raise RefusedError as libnftables words it, if something is wrong."""
    if wrong:
        raise RefusedError(f"nftables refused: internal:0:0-0: Error: Could not process rule: {why}")


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A rule.

    Args:
        handle: unique in its table.
        body: its `expr`, and its `comment` if it has one.
        leads_to: the chains that it may lead to by itself.
        asks: the named sets and maps that it asks.
    """

    handle: int
    body: Json
    leads_to: frozenset[str]
    asks: frozenset[str]

    @classmethod
    def of(cls, handle: int, body: Json) -> LiveRule:
        """The rule with this body."""
        return cls(handle, body, frozenset(led_to(body["expr"])), frozenset(asked(body["expr"])))


@dataclass(slots=True)
class LiveChain:
    """A chain; `hook` is empty for one that is only jumped to."""

    handle: int
    hook: Json
    rules: list[LiveRule] = field(default_factory=list)


@dataclass(slots=True)
class LiveHolder:
    """A set, or a map: one kind of object in the kernel.

    Args:
        handle: unique in its table.
        kind: `set` or `map`.
        header: its attributes as nft lists them.
        elements: as nft lists them, with their verdict in a map, by what makes them equal.
    """

    handle: int
    kind: str
    header: Json
    elements: dict[Hashable, Any] = field(default_factory=dict)

    def identity(self) -> Hashable:
        """What adding it once more must repeat."""
        return self.kind, str(self.header["type"]), self.header.get("map"), frozenset(_flags(self.header))

    def add(self, listed: Iterable[Any]) -> None:
        """Add elements; those that are there already, with the same verdict, are no harm."""
        for value in listed:
            key, shown = self._known(value)
            refuse_if(self.kind == "map" and self.elements.get(key, shown) != shown, EXISTS)
            self.elements.setdefault(key, shown)
        self._refuse_overlaps()

    def delete(self, listed: list[Any]) -> None:
        """Delete elements, whatever their verdict is said to be."""
        refuse_if(not listed, "Invalid set.")
        for value in listed:
            key, _ = self._known(value)
            refuse_if(key not in self.elements, MISSING)
            del self.elements[key]

    def _known(self, value: Any) -> tuple[Hashable, Any]:
        """An element's key, and how it is listed."""
        element, verdict = value if self.kind == "map" and isinstance(value, list) else (value, None)
        adorned = isinstance(element, dict) and "elem" in element
        bare = element["elem"]["val"] if adorned else element
        key, shown = self._key(bare)
        shown = {"elem": element["elem"] | {"val": shown}} if adorned else shown
        return key, [shown, verdict] if self.kind == "map" else shown

    def _key(self, value: Any) -> tuple[Hashable, Any]:
        kind = self.header["type"]
        try:
            types = tuple(map(Datatype, kind if isinstance(kind, list) else [kind]))
            element = parse_key(value, types)
        except (ValueError, TypeError):
            return json.dumps(value, sort_keys=True), value
        refuse_if(_is_wide(element) and "interval" not in _flags(self.header), "You must add 'flags interval'")
        return element, key_json(element, types)

    def _refuse_overlaps(self) -> None:
        if "interval" not in _flags(self.header):
            return
        plain = sorted(key for key in self.elements if isinstance(key, tuple))
        refuse_if(any(next_first <= last for (_, last), (next_first, _) in pairwise(plain)), "interval overlaps")
        joined = [key for key in self.elements if isinstance(key, Joined)]
        refuse_if(any(_overlap(one, two) for at, one in enumerate(joined) for two in joined[:at]), EXISTS)


@dataclass(slots=True)
class LiveTable:
    """A table."""

    handle: int
    chains: dict[str, LiveChain] = field(default_factory=dict)
    holders: dict[str, LiveHolder] = field(default_factory=dict)
    last_handle: int = 0

    def copy(self) -> LiveTable:
        """One that can be changed without changing this."""
        chains = {name: replace(chain, rules=list(chain.rules)) for name, chain in self.chains.items()}
        holders = {name: replace(holder, elements=dict(holder.elements)) for name, holder in self.holders.items()}
        return replace(self, chains=chains, holders=holders)

    def next_handle(self) -> int:
        """A handle that nothing has or had."""
        self.last_handle += 1
        return self.last_handle

    def chain(self, name: str) -> LiveChain:
        """The chain of this name; refuses if there is none."""
        refuse_if(name not in self.chains, MISSING)
        return self.chains[name]

    def holder(self, name: str) -> LiveHolder:
        """The set or map of this name; refuses if there is none."""
        refuse_if(name not in self.holders, MISSING)
        return self.holders[name]

    def add_chain(self, name: str, body: Json, is_new: bool) -> None:
        """Add a chain, or give one that is there another policy."""
        # libnftables 1.0.6 makes a chain without a hook of one whose priority is missing or is text, and says nothing.
        hook: Json = {key: body[key] for key in _HOOK if key in body} if isinstance(body.get("prio"), int) else {}
        if name not in self.chains:
            self.chains[name] = LiveChain(self.next_handle(), ({"policy": "accept"} | hook) if hook else {})
            return
        live = self.chains[name]
        refuse_if(is_new, EXISTS)
        refuse_if(bool(hook) and live.hook | hook | {"policy": ""} != live.hook | {"policy": ""}, UNSUPPORTED)
        live.hook.update(hook)

    def delete_chain(self, name: str) -> None:
        """Delete a chain and its rules; refuses if something leads to it."""
        self.chain(name).rules.clear()
        refuse_if(name in {target for _, target in self._jumps()}, BUSY)
        del self.chains[name]

    def delete_holder(self, name: str) -> None:
        """Delete a set or map and its elements; refuses if a rule asks it."""
        self.holder(name)
        refuse_if(any(name in rule.asks for chain in self.chains.values() for rule in chain.rules), BUSY)
        del self.holders[name]

    def refuse_dangling(self, statements: Any) -> None:
        """Refuse what leads to a chain, or asks a set, that is not there, or jumps to a base chain."""
        refuse_if(any(name not in self.holders for name in asked(statements)), MISSING)
        for target in led_to(statements):
            refuse_if(bool(self.chain(target).hook), UNSUPPORTED)

    def refuse_too_deep(self) -> None:
        """Refuse loops, and ways that are too long, from a base chain."""
        leads: dict[str, set[str]] = {}
        for source, target in self._jumps():
            leads.setdefault(source, set()).add(target)
        reached = {name for name, chain in self.chains.items() if chain.hook}
        for _ in range(_MOST_JUMPS + 1):
            reached = {target for name in reached for target in leads.get(name, ())}
        refuse_if(bool(reached), TOO_DEEP)

    def _jumps(self) -> Iterator[tuple[str, str]]:
        """From which chain to which one a rule, or a map that it asks, leads; from "" for maps whoever asks them."""
        by_map = {name: set(led_to(list(holder.elements.values()))) for name, holder in self.holders.items()}
        yield from (("", target) for targets in by_map.values() for target in targets)
        for name, chain in self.chains.items():
            for rule in chain.rules:
                yield from ((name, target) for target in rule.leads_to)
                yield from ((name, target) for one in rule.asks for target in by_map[one])


def led_to(statements: Any) -> Iterator[str]:
    """The chains that verdicts in statements or elements lead to."""
    for key, value in _pairs(statements):
        if key in {"jump", "goto"} and isinstance(value, dict):
            yield value["target"]


def asked(statements: Any) -> set[str]:
    """The named sets and maps that statements ask."""
    return {
        value[1:]
        for key, value in _pairs(statements)
        if key in {"right", "data", "set"} and isinstance(value, str) and value.startswith("@")
    }


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key and its value, however deep."""
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _pairs(inner)


def _flags(header: Json) -> list[str]:
    flags = header.get("flags", [])
    return [flags] if isinstance(flags, str) else flags


def _is_wide(element: Element) -> bool:
    if isinstance(element, Joined):
        return any(_is_wide(part) for part in element.parts)
    return isinstance(element, tuple) and element[0] != element[1]


def _overlap(one: Joined, two: Joined) -> bool:
    return all(
        left == right
        if isinstance(left, str) or isinstance(right, str)
        else left[0] <= right[1] and right[0] <= left[1]
        for left, right in zip(one.parts, two.parts, strict=True)
    )
