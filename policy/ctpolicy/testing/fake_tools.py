"""iptables and ipset in memory, for tests of what stands above the door: any call of them can fail.

They know of rules and elements what has to be known to keep them in order, and compare them as they are spelled: give
them the spelling that `iptables-save` and `ipset save` print. The tests run the same changes through these and the
real tools.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.errors import HostError, RefusedError
from ctpolicy.iptables.failures import SetsRefusedError
from ctpolicy.iptables.kernel import assert_only_ours
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.failures import FailingDoor

_BUILT_IN: Final = ("PREROUTING", "OUTPUT")
_TARGETS: Final = frozenset(("ACCEPT", "CT", "DROP", "LOG", "MARK", "NFLOG", "NOTRACK", "RETURN", "TRACE"))
_LEADS_TO: Final = re.compile(r"(?:^| )-[jg] (\S+)")
_ASKS_SET: Final = re.compile(r"--match-set (\S+)")
_LINE: Final = re.compile(r"(?:\[(\d+:\d+)\] )?-([ADIFXN]) (\S+)(?: (.*))?")


@dataclass(frozen=True, slots=True)
class Change:
    """One call that changes something, as it was made; `variant` and `family` are None for one of ipsets."""

    variant: Variant | None
    family: Family | None
    text: str


@dataclass(slots=True)
class _Rule:
    words: str
    counters: str = "0:0"


@dataclass(slots=True)
class _Set:
    type: str
    family: str
    options: str
    elements: list[str] = field(default_factory=list)


_Table = dict[str, list[_Rule]]


class FakeTools(FailingDoor):
    """Stands in for `iptables.kernel.IptablesTools`; see `FailingDoor` for its failures.

    Args:
        with_ipset: whether this host has ipset.

    `changes` has every call of `restore` and `restore_sets` so far, failed ones too.
    """

    def __init__(self, with_ipset: bool = True) -> None:
        super().__init__()
        self.changes: list[Change] = []
        self._with_ipset = with_ipset
        self._tables: dict[tuple[Variant, Family], _Table] = {}
        self._sets: dict[str, _Set] = {}

    def save(self, variant: Variant, family: Family) -> str | None:
        """The raw table, as iptables-save prints it; None if there is none."""

        def look() -> str | None:
            table = self._tables.get((variant, family))
            return None if table is None else "\n".join(["# made up", *_table_lines(table), ""])

        return self._read("save", look)

    def sets(self) -> str | None:
        """All ipsets, as ipset save prints them; None if this host has no ipset."""

        def look() -> str | None:
            return "".join(f"{line}\n" for line in _set_lines(self._sets)) if self._with_ipset else None

        return self._read("sets", look)

    def restore(self, variant: Variant, family: Family, text: str) -> None:
        """Change a raw table: all of it, or nothing."""

        def change() -> None:
            table = copy.deepcopy(self._tables.get((variant, family))) or {name: [] for name in _BUILT_IN}
            for line in (one for one in text.splitlines() if one and one[0] in ":-["):
                _change_table(table, line, self._sets)
            self._tables[variant, family] = table

        assert_only_ours(text)
        self.changes.append(Change(variant, family, text))
        self._change("restore", change)

    def restore_sets(self, text: str) -> None:
        """Change ipsets, line after line, to the first that is refused."""

        def change() -> None:
            for number, line in enumerate(text.splitlines(), 1):
                if not _change_sets(self._sets, line, set(self._asked_sets())):
                    raise SetsRefusedError(f"ipset refused: Error in line {number}: {line}.")

        if not self._with_ipset:
            raise HostError("ipset cannot be run (not installed).")
        self.changes.append(Change(None, None, text))
        self._change("restore_sets", change)

    def _asked_sets(self) -> Iterator[str]:
        for table in self._tables.values():
            for rules in table.values():
                for rule in rules:
                    yield from _ASKS_SET.findall(rule.words)


def _change_table(table: _Table, line: str, sets: dict[str, _Set]) -> None:
    if line.startswith(":"):
        table[line[1:].split()[0]] = []
        return
    matched = _LINE.fullmatch(line)
    if not matched:
        raise RefusedError(f"iptables-restore refused: {line}")
    counters, action, chain, words = matched.groups()
    if action == "N":
        _assert(chain not in table, line)
        table[chain] = []
        return
    _assert(chain in table, line)
    if action in "AI":
        place, words = _place(words) if action == "I" else (len(table[chain]), words)
        _assert(_can_stand(words, table, sets) and place <= len(table[chain]), line)
        table[chain].insert(place, _Rule(words, counters or "0:0"))
    elif action == "D":
        places = [place for place, rule in enumerate(table[chain]) if words in (rule.words, str(place + 1))]
        _assert(bool(places), line)
        del table[chain][places[0]]
    elif action == "F":
        table[chain].clear()
    else:
        led_to = {name for rules in table.values() for rule in rules for name in _LEADS_TO.findall(rule.words)}
        _assert(not table[chain] and chain not in led_to and chain not in _BUILT_IN, line)
        del table[chain]


def _place(words: str) -> tuple[int, str]:
    """Where `-I CHAIN [NUMBER] RULE` puts the rule, counted from 0, and the rule."""
    first, _, rest = words.partition(" ")
    return (int(first) - 1, rest) if first.isdigit() else (0, words)


def _can_stand(words: str, table: _Table, sets: dict[str, _Set]) -> bool:
    return all(name in table or name in _TARGETS for name in _LEADS_TO.findall(words)) and all(
        name in sets for name in _ASKS_SET.findall(words)
    )


def _assert(holds: bool, line: str) -> None:
    if not holds:
        raise RefusedError(f"iptables-restore refused: {line}")


def _change_sets(sets: dict[str, _Set], line: str, asked: set[str]) -> bool:
    """Carry out a line of `ipset restore`; whether it could be."""
    match line.split():
        case ["create", name, kind, *options] if name not in sets:
            given = dict(zip(options[::2], options[1::2], strict=True))
            shown = (
                f"range {given['range']}" if kind.startswith("bitmap") else f"maxelem {given.get('maxelem', '65536')}"
            )
            sets[name] = _Set(kind, given.get("family", "inet"), shown)
        case ["add", name, element] if name in sets and element not in sets[name].elements:
            sets[name].elements.append(element)
        case ["del", name, element] if name in sets and element in sets[name].elements:
            sets[name].elements.remove(element)
        case ["flush", name] if name in sets:
            sets[name].elements.clear()
        case ["destroy", name] if name in sets and name not in asked:
            del sets[name]
        case ["swap", one, other] if {one, other} <= sets.keys() and _are_alike(sets[one], sets[other]):
            sets[one], sets[other] = sets[other], sets[one]
        case _:
            return False
    return True


def _are_alike(one: _Set, other: _Set) -> bool:
    return (one.type, one.family) == (other.type, other.family)


def _table_lines(table: _Table) -> list[str]:
    names = [*_BUILT_IN, *sorted(table.keys() - set(_BUILT_IN))]
    headers = [f":{name} {'ACCEPT' if name in _BUILT_IN else '-'} [0:0]" for name in names]
    rules = [f"[{rule.counters}] -A {name} {rule.words}" for name in names for rule in table[name]]
    return ["*raw", *headers, *rules, "COMMIT"]


def _set_lines(sets: dict[str, _Set]) -> Iterator[str]:
    for name, one in sets.items():
        if one.type.startswith("bitmap"):
            yield f"create {name} {one.type} {one.options}"
        else:
            options = f"family {one.family} hashsize 1024 {one.options} bucketsize 12 initval 0x00000000"
            yield f"create {name} {one.type} {options}"
        yield from (f"add {name} {element}" for element in one.elements)
