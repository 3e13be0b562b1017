"""A table in the making: the compiler adds chains, sets and maps to it by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ctpolicy.nftables.names import SetNames, Values
from ctpolicy.nftables.ours import OWNER_CHAIN, TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.ruleset import (
    BaseHook,
    Chain,
    Datatype,
    Rule,
    Selector,
    Set,
    SetReference,
    Table,
    Verdict,
    VerdictLookup,
    VerdictMap,
    datatype,
)
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_Object = TypeVar("_Object")


class Parts:
    """Chains, sets and maps by name."""

    def __init__(self, set_names: SetNames) -> None:
        self._set_names = set_names
        self._chains = {OWNER_CHAIN: Chain(OWNER_CHAIN)}
        self._sets: dict[str, Set] = {}
        self._maps: dict[str, VerdictMap] = {}

    def add_chain(self, name: str, rules: Iterable[Rule], hook: BaseHook | None = None) -> None:
        """Add a chain, or fill one that was reserved."""
        self._chains[name] = Chain(name, hook, tuple(rules))

    def reserve_chain(self, wanted: str) -> str:
        """A chain name that nothing else has: the wanted one, or that and a number."""
        name, number = wanted, 1
        while name in self._chains:
            number += 1
            name = f"{wanted}_{number}"
        self._chains[name] = Chain(name)
        return name

    def drop_chain(self, name: str) -> None:
        """Give a reserved name back."""
        del self._chains[name]

    def add_map(self, name: str, selector: Selector, elements: dict[Interval, Verdict]) -> Rule:
        """Add a verdict map, hashed if every element is one value; the rule that looks the selector up in it."""
        key_type = datatype(selector)
        assert key_type is not None, f"{selector} is no key of ours"
        flags = frozenset({"interval"} if any(first != last for first, last in elements) else ())
        self._maps[name] = VerdictMap(name, key_type.value, flags, tuple(sorted(elements.items())))
        return Rule((VerdictLookup(selector, name),))

    def named_set(self, type: Datatype, values: Values) -> SetReference:  # noqa: A002 (nft's word)
        """Add a set of these addresses, ports or words, or of these interfaces' exact names; a reference to it."""
        name = self._set_names.of(type, values)
        match values:
            case IntervalSet(intervals):
                self._sets[name] = Set(name, type.value, frozenset({"interval"}), intervals)
            case Interfaces():
                self._sets[name] = Set(name, type.value, frozenset(), values.names)
            case words:
                self._sets[name] = Set(name, type.value, frozenset(), words)
        return SetReference(name)

    def table(self) -> Table:
        """All of it."""
        return Table(TABLE_FAMILY, TABLE_NAME, _by_name(self._chains), _by_name(self._sets), _by_name(self._maps))


def _by_name(objects: dict[str, _Object]) -> tuple[_Object, ...]:
    return tuple(objects[name] for name in sorted(objects))
