"""Entries for all addresses but a few: an entry for all of them, and a track entry for the few.

Nobody writes `0.0.0.0-192.0.2.63, 192.0.2.80-255.255.255.255`. What is bypassed for everyone but the load balancer is a
service for everyone, and the same service tracked for the load balancer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

from ctpolicy.language.policy import Addresses, Entry, Match
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace


def holes_filled(entries: Iterable[Entry], space: PacketSpace) -> tuple[list[Entry], list[Entry]]:
    """The entries without holes, and track entries that are the holes.

    Args:
        entries: that bypass.
        space: what is untracked in the end; no packet of a track entry is in it, so the two mean the same as before.
    """
    filled: list[Entry] = []
    holes: list[Entry] = []
    for entry in entries:
        for end, family, few in _holes(entry):
            hole = replace(entry, families=frozenset({family}), **{end: _only(family, few)})  # type: ignore[arg-type]
            if not entries_space([hole]) & space:
                entry = replace(entry, **{end: _with_all(getattr(entry, end), family)})  # type: ignore[arg-type]
                holes.append(hole)
        filled.append(entry)
    return filled, holes


def _holes(entry: Entry) -> Iterator[tuple[str, Family, IntervalSet]]:
    """The ends of an entry that are all addresses of a family but a few, and those few."""
    if isinstance(entry, Match):
        return  # an expert's box is what it says
    for field in fields(entry):
        addresses = getattr(entry, field.name)
        if isinstance(addresses, Addresses):
            for family in Family:
                few = addresses.of(family).complement(family.bits)
                size = sum(last - first + 1 for first, last in few)
                if family in entry.families and few and size < 1 << (family.bits - 1):
                    yield field.name, family, few


def _only(family: Family, values: IntervalSet) -> Addresses:
    none = IntervalSet()
    return Addresses(values, none) if family is Family.IPV4 else Addresses(none, values)


def _with_all(addresses: Addresses, family: Family) -> Addresses:
    whole = IntervalSet.full(family.bits)
    return replace(addresses, ipv4=whole) if family is Family.IPV4 else replace(addresses, ipv6=whole)
