"""Entries that parse, and cover no packet at all."""

from __future__ import annotations

from itertools import combinations

from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.nodes import Mapping
from ctpolicy.language.policy import Addresses, Entry, addresses_of
from ctpolicy.meaning import legs
from ctpolicy.packetspace.fields import Family


def check_coverage(entry: Entry, node: Mapping, mistakes: Mistakes) -> None:
    """Tell an entry that covers no packet: its ends share no family, or its interfaces carry nothing on its paths."""
    ends = dict(addresses_of(entry))
    if not any(all(addresses.of(family) for addresses in ends.values()) for family in entry.families):
        _tell_families(entry, ends, node, mistakes)
        return
    where = _container(node)
    if "interfaces" in where.pairs and not legs(entry):  # with every interface and a family there is a leg: not asked
        message = "packets on `lo` are decided once, at output, so this entry covers no packet"
        mistakes.tell(where.pairs["interfaces"][1], message, "`out` among the paths, or other interfaces")


def _tell_families(entry: Entry, ends: dict[str, Addresses], node: Mapping, mistakes: Mistakes) -> None:
    where = _container(node)
    families = " or ".join(sorted(family.value for family in entry.families))
    for key, addresses in ends.items():
        if not any(addresses.of(family) for family in entry.families):
            message = f"`{key}` holds no {families} address, so this entry covers no packet"
            mistakes.tell(where.pairs[key][1], message, "addresses of that family, or other `families`")
            return
    for (one, _), (other, _) in combinations(ends.items(), 2):
        message = f"`{one}` and `{other}` share no family, so this entry covers no packet"
        mistakes.tell(where.pairs[other][1], message, f"addresses of {_family_of(ends[one])}, like `{one}`")


def _family_of(addresses: Addresses) -> str:
    return " and ".join(family.value for family in Family if addresses.of(family))


def _container(node: Mapping) -> Mapping:
    """The mapping that holds an entry's addresses and interfaces."""
    match = node.get("match")
    return match if isinstance(match, Mapping) else node
