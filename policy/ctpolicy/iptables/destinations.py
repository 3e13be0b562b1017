"""What the kernel's routes say of a packet's destination, as far as its path tells: what `-m addrtype` asks.

A rule may ask for some of the types that packets of a path may have, and the next rule for the others. So each kind
of destination is followed through the rules on its own.
"""

from __future__ import annotations

from typing import Final

from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet

Kind = frozenset[str]
"""The types that a destination has, by iptables' words."""

MULTICAST: Final = {
    Family.IPV4: IntervalSet(((0xE0 << 24, (0xF0 << 24) - 1),)),
    Family.IPV6: IntervalSet(((0xFF << 120, (1 << 128) - 1),)),
}
"""The addresses that are of type MULTICAST, and no others."""

_BY_ROUTE: Final = frozenset({"LOCAL", "ANYCAST", "UNREACHABLE"})
"""What is looked up in IPv6; the other types are those of the address itself."""


def _kinds(*texts: str) -> tuple[Kind, ...]:
    return tuple(frozenset(text.split()) for text in texts)


_TAKEN: Final = {
    Family.IPV4: _kinds("LOCAL", "BROADCAST", "ANYCAST"),
    Family.IPV6: _kinds("UNICAST LOCAL", "UNICAST ANYCAST", "UNICAST LOCAL ANYCAST"),
}
_NOT_TAKEN: Final = {
    Family.IPV4: _kinds("UNICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT"),
    Family.IPV6: _kinds("UNICAST", "UNICAST UNREACHABLE"),
}
_MULTICAST_KINDS: Final = {
    Family.IPV4: _kinds("MULTICAST"),
    Family.IPV6: _kinds("MULTICAST", "MULTICAST LOCAL", "MULTICAST UNREACHABLE"),
}


def kinds(path: Path, family: Family) -> tuple[Kind, ...]:
    """The kinds that a destination which is no multicast address may be of."""
    taken, not_taken = _TAKEN[family], _NOT_TAKEN[family]
    return {Path.IN: taken, Path.FORWARD: not_taken, Path.OUT: taken + not_taken}[path]


def multicast_kinds(path: Path, family: Family) -> tuple[Kind, ...]:
    """The kinds that a multicast destination may be of. What is on path forward, no host takes: no type of its own."""
    return _NOT_TAKEN[family] if path is Path.FORWARD else _MULTICAST_KINDS[family]


def is_of(kind: Kind, types: frozenset[str], family: Family) -> bool:
    """Whether a destination of a kind has these types, as xt_addrtype asks for several.

    Of IPv4 it has to have any of them. Of IPv6 it has to have each of those that the address itself has or has not,
    and any of those that are looked up (match_type6).
    """
    if family is Family.IPV4:
        return bool(kind & types)
    return types - _BY_ROUTE <= kind and (not types & _BY_ROUTE or bool(kind & types & _BY_ROUTE))
