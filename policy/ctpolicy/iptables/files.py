"""A compiled policy as files that a host without Python and ctpolicy can load.

ipsets       for `ipset restore`: each set is filled beside and swapped in, so that loading it again loses no packet
iptables     for `iptables-restore --noflush`: our chains, made or filled anew
ip6tables    the same for IPv6
load         a script for `sh` that loads them in this order, and makes the built-in chains jump to ours once
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.iptables.objects import TOOLS
from ctpolicy.iptables.ours import BUILT_IN, swapped_in_by
from ctpolicy.iptables.render import restore_text, rule_text
from ctpolicy.iptables.render_sets import add_lines, create_line
from ctpolicy.iptables.ruleset import IpSet, RawTable, RawTables, Variant
from ctpolicy.packetspace.fields import Family


@dataclass(frozen=True, slots=True)
class Spelling:
    """How rules are spelled in files.

    Args:
        notrack: the target that leaves a packet untracked.
    """

    notrack: str = "CT --notrack"

    def of(self, text: str) -> str:
        """A text as ctpolicy spells it, in this spelling."""
        return text.replace("-j CT --notrack", f"-j {self.notrack}")


OURS: Final = Spelling()


def files(tables: RawTables, variant: Variant, spelling: Spelling = OURS) -> Iterator[tuple[str, str]]:
    """The files' names and texts."""
    if tables.sets:
        yield "ipsets", sets_text(tables.sets)
    for family, table in tables.tables.items():
        yield TOOLS[family], table_text(table, family, spelling)
    yield "load", _script(tables, variant)


def sets_text(sets: Iterable[IpSet]) -> str:
    """What `ipset restore` takes to make these sets, or to give those that are there these elements."""
    return "".join(f"{line}\n" for one in sets for line in _set_lines(one))


def _set_lines(one: IpSet) -> Iterator[str]:
    yield f"{create_line(one)} -exist"
    beside = replace(one, name=swapped_in_by(one.name))
    yield create_line(beside)
    yield from add_lines(beside)
    yield f"swap {beside.name} {one.name}"
    yield f"destroy {beside.name}"


def table_text(table: RawTable, family: Family, spelling: Spelling = OURS) -> str:
    """What `iptables-restore --noflush` takes to make our chains of one family, or to fill them anew."""
    own = [chain.name for chain in table.chains if chain.name not in BUILT_IN]
    return spelling.of(restore_text(table, own, family))


def _script(tables: RawTables, variant: Variant) -> str:
    lines = [
        "#!/bin/sh",
        "# Load what stands beside this script. Loading it again changes nothing.",
        "set -eu",
        'cd "$(dirname "$0")"',
    ]
    if tables.sets:
        lines.append("ipset restore <ipsets")
    wait = " -w 30" if variant is Variant.LEGACY else ""
    for family, table in tables.tables.items():
        tool = f"{TOOLS[family]}-{variant.value}"
        lines.append(f"{tool}-restore --noflush{wait} <{TOOLS[family]}")
        for chain in table.chains:
            if chain.name in BUILT_IN:
                jump = f"{chain.name}{{}} {rule_text(chain.rules[0], family)}"
                asked = f"{tool} -t raw{wait} -C {jump.format('')}"
                lines.append(f"{asked} 2>/dev/null || {tool} -t raw{wait} -I {jump.format(' 1')}")
    return "".join(f"{line}\n" for line in lines)
