"""Which addresses are this host's: what `fib daddr type` and `-m addrtype` answer, from the kernel's own tables.

The local routing table is what they ask. It has what is on the host's devices, and whatever somebody has made local by
hand (`ip route add local 10.0.0.0/8 dev lo`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from socket import AF_INET, AF_INET6
from struct import Struct
from typing import Final, NamedTuple

from ctpolicy.conntrack.netlink import DUMP, Bytes, message, values
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet

NEW_ADDRESS: Final = 20
NEW_ROUTE: Final = 24
_GET_ADDRESS: Final = 22
_GET_ROUTE: Final = 26

_ROUTE: Final = Struct("=BBBBBBBBI")
_ADDRESS: Final = Struct("=BBBBI")
_LOCAL_TABLE: Final = 255
_RTA_DST, _RTA_TABLE = 1, 15
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_LOCAL, _BROADCAST, _ANYCAST, _MULTICAST = 2, 3, 4, 5

_FAMILIES: Final = {int(AF_INET): Family.IPV4, int(AF_INET6): Family.IPV6}

# What the kernel knows without a route: `inet_addr_type`, and the scopes of IPv6.
_ALWAYS_LOCAL: Final = ("127.0.0.0/8", "::1/128")
_ALWAYS_TAKEN: Final = ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "ff00::/8")


class Answer(NamedTuple):
    """One address or route that the kernel has told: a message's kind and payload."""

    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """Addresses of one host, by family, as integers.

    Args:
        local: its own.
        taken: all that it takes what is sent to: its own, broadcast, anycast and multicast.
        elsewhere: its own in a routing table of their own alone (a VRF): rules that ask find no local address there.
    """

    local: dict[Family, IntervalSet]
    taken: dict[Family, IntervalSet]
    elsewhere: dict[Family, IntervalSet]

    @classmethod
    def of(cls, local: Iterable[str], taken: Iterable[str] = ()) -> HostAddresses:
        """Those of a host with these addresses and prefixes, beside what every host has."""
        own = list(map(_prefix, (*_ALWAYS_LOCAL, *local)))
        return _together(own, [*own, *map(_prefix, (*_ALWAYS_TAKEN, *taken))], [])


def requests(sequence: int) -> Iterator[bytes]:
    """What has to be asked, each by itself: addresses, and the routes of the local table."""
    yield message(_GET_ADDRESS, DUMP, sequence, bytes(_ADDRESS.size))
    # With strict checking the kernel sends that table alone; without, all of them, and we pick.
    for family in _FAMILIES:
        yield message(_GET_ROUTE, DUMP, sequence, _ROUTE.pack(family, 0, 0, 0, _LOCAL_TABLE, 0, 0, 0, 0))


def host_addresses(answers: Iterable[Answer]) -> HostAddresses:
    """What the answers say."""
    own, taken, assigned = (list(map(_prefix, prefixes)) for prefixes in (_ALWAYS_LOCAL, _ALWAYS_TAKEN, ()))
    for answer in answers:
        if answer.kind == NEW_ADDRESS:
            assigned.extend(_assigned(answer.payload))
        elif answer.kind == NEW_ROUTE:
            for kind, prefix in _route(answer.payload):
                (own if kind == _LOCAL else taken).append(prefix)
    return _together(own, [*own, *taken], assigned)


_Prefix = tuple[Family, Interval]


def _together(own: list[_Prefix], taken: list[_Prefix], assigned: list[_Prefix]) -> HostAddresses:
    local = _sets(own)
    elsewhere = {family: found & local[family].complement(family.bits) for family, found in _sets(assigned).items()}
    return HostAddresses(local, _sets(taken), elsewhere)


def _sets(prefixes: list[_Prefix]) -> dict[Family, IntervalSet]:
    by_family: dict[Family, list[Interval]] = defaultdict(list)
    for family, interval in prefixes:
        by_family[family].append(interval)
    return {family: IntervalSet.of(by_family[family]) for family in Family}


def _prefix(text: str) -> _Prefix:
    network = ip_network(text)
    family = Family.IPV4 if network.version == 4 else Family.IPV6
    return family, (int(network.network_address), int(network.broadcast_address))


def _assigned(payload: Bytes) -> Iterator[_Prefix]:
    number, *_ = _ADDRESS.unpack_from(payload)
    found = values(payload, _ADDRESS.size, len(payload))
    # Of a point-to-point device IFA_ADDRESS is the other side's.
    value = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if number in _FAMILIES and value:
        yield _FAMILIES[number], (int.from_bytes(value), int.from_bytes(value))


def _route(payload: Bytes) -> Iterator[tuple[int, _Prefix]]:
    number, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(payload)
    found = values(payload, _ROUTE.size, len(payload))
    told = int.from_bytes(found[_RTA_TABLE][::-1]) if _RTA_TABLE in found else table
    if number not in _FAMILIES or kind not in {_LOCAL, _BROADCAST, _ANYCAST, _MULTICAST}:
        return
    if table != _LOCAL_TABLE and told != _LOCAL_TABLE:
        return
    family = _FAMILIES[number]
    first = int.from_bytes(found.get(_RTA_DST, b""))
    yield kind, (family, (first, first | (1 << family.bits - length) - 1))
