"""Entries that differ in one thing alone become one: in the family of their addresses, or in their services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

from ctpolicy.language.policy import Addresses, Entry, Match, Overlay, ProtocolPorts
from ctpolicy.language.ports import merged
from ctpolicy.packetspace.fields import Family


def merge_alike(entries: Iterable[Entry]) -> list[Entry]:
    """The same packets in fewer entries."""
    return list(_merge_families(_merge_services(_merge_families(entries))))


def _merge_families(entries: Iterable[Entry]) -> Iterator[Entry]:
    """An entry of one family and its like of the other are one of both."""
    kept: list[Entry | None] = []
    waiting: dict[tuple[object, ...], int] = {}
    for entry in entries:
        kept.append(entry)
        if len(entry.families) == 2:
            continue
        alike = (type(entry), *(value for _, value in _values(entry) if not isinstance(value, Addresses | frozenset)))
        paths = getattr(entry, "paths", None)
        (family,) = entry.families
        at = waiting.pop((_other(family), paths, *alike), None)
        if at is None:
            waiting.setdefault((family, paths, *alike), len(kept) - 1)
            continue
        first = kept[at]
        assert first is not None
        kept[at] = _of_both(first, entry)
        kept[-1] = None
    return (entry for entry in kept if entry is not None)


def _other(family: Family) -> Family:
    return Family.IPV6 if family is Family.IPV4 else Family.IPV4


def _of_both(one: Entry, other: Entry) -> Entry:
    v4, v6 = (one, other) if Family.IPV4 in one.families else (other, one)
    ends: dict[str, Any] = {
        key: Addresses(value.ipv4, getattr(v6, key).ipv6) for key, value in _values(v4) if isinstance(value, Addresses)
    }
    return replace(one, families=frozenset(Family), **ends)


def _merge_services(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Services that have all else in common are services of one entry."""
    kept: dict[object, Entry] = {}
    for number, entry in enumerate(entries):
        if isinstance(entry, Overlay | Match):
            kept[number] = entry
            continue
        alike = replace(entry, services=())
        if alike in kept:
            services: tuple[ProtocolPorts, ...] = getattr(kept[alike], "services", ())
            kept[alike] = replace(entry, services=merged((*services, *entry.services)))
        else:
            kept[alike] = entry
    return iter(kept.values())


def _values(entry: Entry) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(entry, field.name)) for field in fields(entry))
