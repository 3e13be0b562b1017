"""Raw tables and ipsets in a namespace: loaded by the tools themselves, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import RawTable, RawTables, Variant
from ctpolicy.oracle.namespace import Namespace
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.packetspace.fields import Family

TOOLS: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_PATIENCE: Final = ("-w", "30")
_EMPTY: Final = "*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is loaded: for `ipset restore`, and lines of the raw table for each family; empty for nothing."""

    sets: str = ""
    v4: str = ""
    v6: str = ""

    @classmethod
    def of_file(cls, text: str) -> Rules:
        """The sections [ipset], [iptables] and [ip6tables] of a file."""
        found = {"ipset": "", "iptables": "", "ip6tables": ""}
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif section:
                found[section] += f"{line}\n"
        return cls(found["ipset"], found["iptables"], found["ip6tables"])

    @property
    def by_family(self) -> dict[Family, str]:
        """The lines of each family."""
        return {Family.IPV4: self.v4, Family.IPV6: self.v6}


@contextmanager
def loaded(namespace: Namespace, variant: Variant, rules: Rules) -> Iterator[RawTables]:
    """The rules in a namespace for a while, as they are read back."""
    try:
        namespace.run("ipset", "restore", stdin=rules.sets)
        for family, lines in rules.by_family.items():
            if lines:
                restore(namespace, variant, family, f"*raw\n{lines}COMMIT\n")
        yield read(namespace, variant)
    finally:
        for family in rules.by_family:
            restore(namespace, variant, family, _EMPTY)
            if variant is Variant.NFT:
                namespace.run("nft", "delete", "table", "ip" if family is Family.IPV4 else "ip6", "raw")
        namespace.run("ipset", "destroy")


def restore(namespace: Namespace, variant: Variant, family: Family, text: str, *options: str) -> None:
    """What iptables-restore is given."""
    namespace.run(f"{TOOLS[family]}-{variant.value}-restore", *_PATIENCE, *options, stdin=text)


def save(namespace: Namespace, variant: Variant, family: Family) -> str:
    """What iptables-save prints of the raw table."""
    return namespace.run(f"{TOOLS[family]}-{variant.value}-save", "-t", "raw", "-c").stdout


def read(namespace: Namespace, variant: Variant) -> RawTables:
    """Both tables and the sets."""
    tables: dict[Family, RawTable] = {}
    for family in Family:
        table = read_raw_table(save(namespace, variant, family), family)
        if table is not None:
            tables[family] = table
    return RawTables(tables, read_sets(namespace.run("ipset", "save").stdout))


@contextmanager
def loaded_in_both_worlds(oracle: Oracle, variant: Variant, rules: Rules) -> Iterator[RawTables]:
    """The rules wherever the oracle asks about packets."""
    with ExitStack() as stack:
        home, _ = (stack.enter_context(loaded(world.namespace, variant, rules)) for world in oracle.worlds)
        yield home
