"""The numbers at which rules may change their mind: between two neighbours of these, all values are the same to them.

Rules of every backend compare addresses and ports with intervals, and with nothing else that is modelled. So two
packets that differ in those alone, each value between the same neighbours, take the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from ipaddress import ip_network
from typing import Any, Final

_KINDS: Final = ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::1/128", "ff00::/8")
"""Addresses that `fib` and `addrtype` tell from others, whatever the host's own are."""


def edges(rules: object) -> tuple[int, ...]:
    """Where the intervals begin that rules name, and where they have just ended, in order.

    Args:
        rules: a backend's own: dataclasses, tuples and mappings, with intervals as pairs of integers.
    """
    found: set[int] = set()
    for network in map(ip_network, _KINDS):
        found |= {int(network.network_address), int(network.broadcast_address) + 1}
    _gather(rules, found)
    return tuple(sorted(found))


def _gather(part: Any, found: set[int]) -> None:
    match part:
        case (int(first), int(last)):
            found.add(first)
            found.add(last + 1)
        case tuple() | frozenset():
            for inner in part:
                _gather(inner, found)
        case Mapping():
            for inner in part.values():
                _gather(inner, found)
        case _ if is_dataclass(part):
            for field in fields(part):
                _gather(getattr(part, field.name), found)
