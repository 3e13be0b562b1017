"""What the tools make of a change where nothing of ours is: the inverse of rendering it for there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ctpolicy.errors import InputError
from ctpolicy.iptables.objects import TOOLS
from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import IpSet, RawTable, RawTables
from ctpolicy.packetspace.fields import Family

_INSERTED: Final = re.compile(r"-I (\S+) (\d+) (.*)")


def after_first_load(document: Any) -> RawTables | None:
    """The tables and ipsets that a host without any has then; None if the document does nothing.

    Raises:
        InputError: it does anything but making ipsets and chains, and hooking these.
    """
    tables: dict[Family, RawTable] = {}
    sets: tuple[IpSet, ...] = ()
    for tool, text in _steps(document):
        if tool == "ipset":
            sets = (*sets, *read_sets(text))
            continue
        family = next((family for family in Family if tool.startswith(f"{TOOLS[family]}-")), None)
        table = read_raw_table("\n".join(_as_saved(text)), family) if family else None
        if family is None or table is None or family in tables:
            raise InputError(f"`{tool}` is not a tool that fills the raw table of a family once.")
        tables[family] = table
    return RawTables(tables, sets) if tables or sets else None


def _steps(document: Any) -> Iterator[tuple[str, str]]:
    """The first word of each step's command, and what it takes."""
    match document:
        case {"steps": list(steps)}:
            for step in steps:
                match step:
                    case {"tool": str(tool), "text": str(text)}:
                        yield tool.partition(" ")[0], text
                    case _:
                        raise InputError("A step is not a tool and what it takes.")
        case _:
            raise InputError("This is not a list of steps.")


def _as_saved(text: str) -> Iterator[str]:
    """The lines of a table as iptables-save prints them once they have been carried out."""
    hooked: dict[str, list[str]] = {}
    for line in text.split("\n"):
        inserted = _INSERTED.fullmatch(line)
        if inserted:
            name, place, words = inserted.groups()
            rules = hooked.setdefault(name, [])
            if not 1 <= int(place) <= len(rules) + 1:
                raise InputError(f"`{line[:80]}` is a place that is not there.")
            rules.insert(int(place) - 1, f"-A {name} {words}")
        elif line == "COMMIT":
            for name, rules in hooked.items():
                yield f":{name} ACCEPT [0:0]"
                yield from rules
            yield line
        else:
            yield line
