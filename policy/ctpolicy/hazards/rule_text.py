"""Accept rules in the words of the tools: nft's, and the arguments of iptables.

What is written has been put together from integers, from names of interfaces in a small alphabet and from names of
tables and chains that are looked at first. What a tool cannot say in few rules is not written at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import product
from typing import Final

from ctpolicy.hazards.admission import Admission
from ctpolicy.hazards.rules import Asked
from ctpolicy.packetspace.fields import PROTOCOL_NAMES, PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, Family
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interval_pattern
from ctpolicy.packetspace.intervals import Interval, IntervalSet, prefix_length
from ctpolicy.packetspace.packet import address_text
from ctpolicy.packetspace.universe import Field

MOST_ELEMENTS: Final = 64
"""In one set of a rule of nft."""

MOST_RULES: Final = 16
"""Of iptables, for one box: it takes one address, interface and protocol a rule."""

_MOST_PORTS: Final = 15
"""Slots of `-m multiport`; a range takes two."""

_UDPLITE: Final = PROTOCOL_NUMBERS["udplite"]
"""Which `--dport` alone does not know (iptables 1.8.9)."""
_NONE: Final = IntervalSet()

_NAMED: Final = frozenset({"icmp", "icmpv6", "tcp", "udp", "sctp", "dccp", "udplite"})
"""Protocols that every tool knows by name; others are told as numbers."""

_NFT_TYPES: Final = {
    Family.IPV4: {3: "destination-unreachable", 11: "time-exceeded", 12: "parameter-problem"},
    Family.IPV6: {
        1: "destination-unreachable", 2: "packet-too-big", 3: "time-exceeded", 4: "parameter-problem",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Interfaces:
    """Names and patterns, or all but these."""

    patterns: tuple[str, ...]
    negated: bool = False


def nft_matches(admission: Admission, table_family: str) -> list[str] | None:
    """Rules of a table of nftables, each without its verdict; None if it would take too many words."""
    interfaces = _interfaces(admission)
    if interfaces is None or any(len(values) > MOST_ELEMENTS for values in _listed(admission)):
        return None
    words = [*_nft_family(admission, table_family), *_nft_protocol(admission), *_nft_addresses(admission)]
    words.append(f"ct state {admission.situation.value}")
    ways = _nft_interfaces(admission.interface, interfaces) if interfaces.patterns else [""]
    return [" ".join([way, *words]).strip() for way in ways] if len(ways) <= MOST_RULES else None


def iptables_matches(admission: Admission, family: Family) -> list[list[str]] | None:
    """Rules of iptables or ip6tables, each as the arguments before `-j`; None if that takes too many of them."""
    interfaces = _interfaces(admission)
    ports = [_multiport(admission, field) for field in (Field.SOURCE_PORT, Field.DESTINATION_PORT)]
    if interfaces is None or None in ports or (interfaces.negated and len(interfaces.patterns) > 1):
        return None
    ways = (
        _iptables_interfaces(admission.interface, interfaces),
        _iptables_protocols(admission),
        _iptables_addresses(admission, Field.SOURCE, family),
        _iptables_addresses(admission, Field.DESTINATION, family),
        _iptables_types(admission, family),
    )
    number = 1
    for one in ways:
        number *= len(one)
    if number > MOST_RULES:
        return None
    state = ["-m", "conntrack", "--ctstate", admission.situation.value.upper()]
    told = [word for words in ports for word in words or ()]
    return [[*a, *b, *c, *d, *told, *e, *state] for a, b, c, d, e in product(*ways)]


def _listed(admission: Admission) -> Iterable[IntervalSet]:
    return (values for field, values in admission.box.items() if field is not Field.INTERFACE)


def _interfaces(admission: Admission) -> _Interfaces | None:
    """The box's interfaces as patterns; None if there are no patterns for them."""
    values = admission.box.get(Field.INTERFACE)
    if values is None:
        return _Interfaces(())
    for found, negated in ((values, False), (values.complement(INTERFACE_BITS), True)):
        patterns = [interval_pattern(interval) for interval in found] if len(found) <= MOST_RULES else [None]
        if patterns and None not in patterns:
            return _Interfaces(tuple(one for one in patterns if one is not None), negated)
    return None


def _nft_interfaces(asked: Asked, interfaces: _Interfaces) -> list[str]:
    """A pattern stands alone: sets of names take none in some versions of nft."""
    word = "iifname" if asked is Asked.INCOMING else "oifname"
    quoted = [f'"{pattern}"' for pattern in interfaces.patterns]
    if interfaces.negated:
        return [" ".join(f"{word} != {one}" for one in quoted)]
    plain = [one for one in quoted if not one.endswith('*"')]
    return ([f"{word} {_in_nft(plain)}"] if plain else []) + [f"{word} {one}" for one in quoted if one not in plain]


def _nft_family(admission: Admission, table_family: str) -> list[str]:
    is_told = Field.SOURCE in admission.box or Field.DESTINATION in admission.box or bool(admission.icmp_types)
    if table_family != "inet" or is_told or admission.family is None:
        return []
    return [f"meta nfproto {admission.family.value}"]


def _nft_protocol(admission: Admission) -> list[str]:
    box = admission.box
    if Field.PROTOCOL not in box:
        return []
    if admission.icmp_types and admission.family is not None:
        word = "icmp" if admission.family is Family.IPV4 else "icmpv6"
        names = _NFT_TYPES[admission.family]
        return [f"{word} type {_in_nft([names.get(one, str(one)) for one in _each(admission.icmp_types)])}"]
    protocols = box[Field.PROTOCOL]
    sides = [(word, box[field]) for word, field in _PORT_WORDS if field in box]
    only = protocols.intervals[0][0] if len(_each(protocols)) == 1 else None
    if only in PROTOCOLS_WITH_PORTS and sides:
        return [f"{PROTOCOL_NAMES[only]} {word} {_in_nft(map(_range, ports))}" for word, ports in sides]
    named = _in_nft(_protocol(first) if first == last else f"{first}-{last}" for first, last in protocols)
    return [f"meta l4proto {named}", *(f"th {word} {_in_nft(map(_range, ports))}" for word, ports in sides)]


_PORT_WORDS: Final = (("sport", Field.SOURCE_PORT), ("dport", Field.DESTINATION_PORT))


def _nft_addresses(admission: Admission) -> list[str]:
    found = []
    for word, field in (("saddr", Field.SOURCE), ("daddr", Field.DESTINATION)):
        if field in admission.box and admission.family is not None:
            header = "ip" if admission.family is Family.IPV4 else "ip6"
            found.append(f"{header} {word} {_in_nft(map(_addresses(admission.family), admission.box[field]))}")
    return found


def _in_nft(values: Iterable[str]) -> str:
    several = list(values)
    return several[0] if len(several) == 1 else "{ " + ", ".join(several) + " }"


def _iptables_interfaces(asked: Asked, interfaces: _Interfaces) -> list[list[str]]:
    option = "-i" if asked is Asked.INCOMING else "-o"
    patterns = [pattern[:-1] + "+" if pattern.endswith("*") else pattern for pattern in interfaces.patterns]
    return [[*(["!"] if interfaces.negated else []), option, one] for one in patterns] or [[]]


def _iptables_protocols(admission: Admission) -> list[list[str]]:
    protocols = admission.box.get(Field.PROTOCOL)
    return [[]] if protocols is None else [["-p", _protocol(one)] for one in _each(protocols)]


def _iptables_addresses(admission: Admission, field: Field, family: Family) -> list[list[str]]:
    values = admission.box.get(field)
    if values is None:
        return [[]]
    text = _addresses(family)
    option, side = ("-s", "--src-range") if field is Field.SOURCE else ("-d", "--dst-range")
    return [
        ["-m", "iprange", side, text(one)] if prefix_length(one, family.bits) is None else [option, text(one)]
        for one in values
    ]


def _iptables_types(admission: Admission, family: Family) -> list[list[str]]:
    option = "--icmp-type" if family is Family.IPV4 else "--icmpv6-type"
    return [[option, str(one)] for one in _each(admission.icmp_types)] or [[]]


def _multiport(admission: Admission, field: Field) -> list[str] | None:
    """One side's ports; None if they are too many for one rule."""
    ports = admission.box.get(field)
    if ports is None:
        return []
    side = "--sport" if field is Field.SOURCE_PORT else "--dport"
    if len(ports) == 1 and _UDPLITE not in admission.box.get(Field.PROTOCOL, _NONE):
        return [side, _range(ports.intervals[0], ":")]
    if sum(1 if first == last else 2 for first, last in ports) > _MOST_PORTS:
        return None
    return ["-m", "multiport", f"{side}s", ",".join(_range(interval, ":") for interval in ports)]


def _each(values: IntervalSet) -> Sequence[int]:
    return [value for first, last in values for value in range(first, last + 1)]


def _protocol(number: int) -> str:
    name = PROTOCOL_NAMES.get(number, "")
    return name if name in _NAMED else str(number)


def _range(interval: Interval, between: str = "-") -> str:
    first, last = interval
    return str(first) if first == last else f"{first}{between}{last}"


def _addresses(family: Family) -> Callable[[Interval], str]:
    kind = IPv4Address if family is Family.IPV4 else IPv6Address

    def text(interval: Interval) -> str:
        length = prefix_length(interval, family.bits)
        first = address_text(kind(interval[0]))
        if length is None:
            return f"{first}-{address_text(kind(interval[1]))}"
        return first if length == family.bits else f"{first}/{length}"

    return text
