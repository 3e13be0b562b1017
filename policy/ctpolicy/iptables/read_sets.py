"""`ipset save` to sets: the inverse of `render_sets.ipset_lines`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from ctpolicy.errors import InputError
from ctpolicy.iptables.render_sets import dimensions
from ctpolicy.iptables.ruleset import IpSet, Joined
from ctpolicy.iptables.values import parse_ports, parse_prefix, parse_protocol, parse_range
from ctpolicy.iptables.words import text_of, words_of
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.interface_values import pattern_interval
from ctpolicy.packetspace.interfaces import is_interface_name, is_interface_pattern
from ctpolicy.packetspace.intervals import Interval, IntervalSet

_FAMILIES: Final = {"inet": Family.IPV4, "inet6": Family.IPV6}

_KNOWN_DIMENSIONS: Final = frozenset({"ip", "net", "port", "iface"})

_WITHOUT_MEANING: Final = {
    **dict.fromkeys(("hashsize", "bucketsize", "initval", "maxelem", "family", "range", "markmask"), 1),
    **dict.fromkeys(("counters", "comment", "skbinfo", "forceadd"), 0),
}
"""Options of sets that do not change what a set holds, and how many values follow."""

_ELEMENT_OPTIONS: Final = {
    **dict.fromkeys(("packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue"), 1),
    "wildcard": 0,
}
"""Likewise of elements; `wildcard` is read with its interface."""


@dataclass(slots=True)
class _Parts:
    """A set while its lines are read."""

    type: str
    family: Family | None
    most: int
    netmask: int | None
    unmodelled: list[str]
    values: list[Interval] = field(default_factory=list)
    elements: list[Joined] = field(default_factory=list)

    def ipset(self, name: str) -> IpSet:
        """All of it."""
        return IpSet(
            name,
            self.type,
            self.family,
            values=IntervalSet.of(self.values),
            elements=tuple(sorted(set(self.elements))),
            live=tuple(sorted(self.values)) if self.family else (),
            most=self.most,
            unmodelled="; ".join(sorted(self.unmodelled)),
        )


def read_sets(listing: str) -> tuple[IpSet, ...]:
    """The sets in what `ipset save` prints, sorted by name.

    Raises:
        InputError: the listing is none of ipset's.
    """
    sets: dict[str, _Parts] = {}
    for number, line in enumerate(listing.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            _add_line(sets, words_of(line))
        except (ValueError, IndexError) as error:
            raise InputError(f"Line {number} of the listing is not as `ipset save` prints it: {error}.") from error
    return tuple(sets[name].ipset(name) for name in sorted(sets))


def _add_line(sets: dict[str, _Parts], words: Sequence[str]) -> None:
    match words:
        case ["create", name, set_type, *options]:
            if name in sets:
                raise ValueError(f"the set {name} is there a second time")
            sets[name] = _created(set_type, options)
        case ["add", name, element, *options]:
            if name not in sets:
                raise ValueError(f"the set {name} is not in the listing")
            _add_element(sets[name], element, options)
        case _:
            raise ValueError(f"`{text_of(words)[:80]}` begins with neither `create` nor `add`")


def _created(set_type: str, options: Sequence[str]) -> _Parts:
    family = next((_FAMILIES.get(value) for word, value in _pairs(options) if word == "family"), None)
    parts = _Parts(set_type, Family.IPV4 if set_type == "bitmap:ip" else family, 0, None, [])
    at = 0
    while at < len(options):
        word = options[at]
        if word == "maxelem":
            parts.most = int(options[at + 1])
        elif word == "range" and set_type == "bitmap:port":
            first, last = parse_ports(options[at + 1], "-")
            parts.most = last - first + 1
        if word == "netmask" and set_type in {"hash:ip", "bitmap:ip"}:
            parts.netmask = int(options[at + 1])
            at += 2
        elif word in _WITHOUT_MEANING:
            at += 1 + _WITHOUT_MEANING[word]
        else:
            parts.unmodelled.append(text_of(options[at : at + 2]))
            at += 2
    if not set(dimensions(set_type)) <= _KNOWN_DIMENSIONS:
        parts.unmodelled.append(set_type)
    return parts


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return pairwise(words)


def _add_element(parts: _Parts, element: str, options: Sequence[str]) -> None:
    kinds = dimensions(parts.type)
    unknown = list(_unknown_options(options)) if options else []
    if unknown or not set(kinds) <= _KNOWN_DIMENSIONS:
        # A time that is left differs whenever one looks; that there is one is a part of what the set is.
        told = [word for word in unknown if word != "timeout"]
        if told or not unknown:
            parts.unmodelled.append(text_of([element, *told]))
        return
    if len(kinds) == 1:
        parts.values.append(_value(parts, element, kinds[0]))
        return
    joined = _joined(parts, element.split(","), kinds, "wildcard" in options)
    if joined is None:
        parts.unmodelled.append(text_of([element, *["wildcard"] * ("wildcard" in options)]))
    else:
        parts.elements.append(joined)


def _unknown_options(options: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(options):
        word = options[at]
        if word not in _ELEMENT_OPTIONS:
            yield word
        at += 1 + (1 if word == "timeout" else _ELEMENT_OPTIONS.get(word, 0))


def _value(parts: _Parts, element: str, kind: str) -> Interval:
    if kind == "port":
        return parse_ports(element, "-")
    if parts.netmask is not None and "/" not in element:
        element = f"{element}/{parts.netmask}"
    return _addresses(parts, element)


def _addresses(parts: _Parts, text: str) -> Interval:
    family = parts.family or Family.IPV4
    return parse_range(text, family) if "-" in text else parse_prefix(text, family)


def _joined(parts: _Parts, texts: Sequence[str], kinds: Sequence[str], wildcard: bool) -> Joined | None:
    """An element of several dimensions; None if it says what ctpolicy does not model: an ICMP type, a bridge's port."""
    if len(texts) != len(kinds):
        raise ValueError(f"`{','.join(texts)}` is no element of {parts.type}")
    values: list[Interval] = []
    protocols: list[int | None] = []
    for text, kind in zip(texts, kinds, strict=True):
        protocol: int | None = None
        if kind == "port":
            word, _, port = text.rpartition(":")
            protocol = parse_protocol(word) if word else 6
            if protocol not in PROTOCOLS_WITH_PORTS and port != "0":
                return None
            value = parse_ports(port, "-")
        elif kind == "iface":
            pattern = f"{text}*" if wildcard else text
            if ":" in text or not (is_interface_pattern(pattern) if wildcard else is_interface_name(text)):
                return None
            value = pattern_interval(pattern)
        else:
            value = _addresses(parts, text)
        values.append(value)
        protocols.append(protocol)
    return Joined(tuple(values), tuple(protocols))
