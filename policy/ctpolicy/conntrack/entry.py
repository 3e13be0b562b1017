"""Entries of the conntrack table, in netfilter's own words.

These are named tuples, not dataclasses: a table has millions of entries, and a frozen dataclass takes three times as
long to make (Python 3.11).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.packet import Address


class Status(IntFlag):
    """What is known of an entry: the kernel's `enum ip_conntrack_status`, without `IPS_`."""

    EXPECTED = 1 << 0
    """A helper has told the kernel to expect it."""
    SEEN_REPLY = 1 << 1
    ASSURED = 1 << 2
    """It is not dropped early when the table is full."""
    CONFIRMED = 1 << 3
    SRC_NAT = 1 << 4
    DST_NAT = 1 << 5
    SEQ_ADJUST = 1 << 6
    SRC_NAT_DONE = 1 << 7
    """Asked whether to be translated; most entries of a host with NAT are not."""
    DST_NAT_DONE = 1 << 8
    DYING = 1 << 9
    FIXED_TIMEOUT = 1 << 10
    TEMPLATE = 1 << 11
    UNTRACKED = 1 << 12
    HELPER = 1 << 13
    """A rule has given it a helper."""
    OFFLOAD = 1 << 14
    """Its packets go by a flow table, past all hooks."""
    HW_OFFLOAD = 1 << 15


# As integers, and asked as integers: to make a Status of the answer takes ten times as long (Python 3.11).
_TRANSLATED: Final = int(Status.SRC_NAT | Status.DST_NAT)
_OF_A_HELPER: Final = int(Status.EXPECTED | Status.HELPER)
_OFFLOADED: Final = int(Status.OFFLOAD | Status.HW_OFFLOAD)
_SEEN_REPLY: Final = int(Status.SEEN_REPLY)
_has = int.__and__


class TcpState(IntEnum):
    """The kernel's `enum tcp_conntrack`, without `TCP_CONNTRACK_`."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9


class Icmp(NamedTuple):
    """What ICMP has in the place of ports."""

    id: int
    type: int
    code: int


class Tuple(NamedTuple):
    """One direction of an entry: the packets that belong to it.

    Args:
        source: address, as an integer; likewise `destination`.
        protocol: IP protocol number.
        source_port: of what has ports, and a key of GRE; likewise `destination_port`.
        icmp: of ICMP and ICMPv6.
        zone: of this direction alone.
    """

    source: int
    destination: int
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp: Icmp | None = None
    zone: int = 0

    def is_answered_by(self, other: Tuple) -> bool:
        """Whether the other is this one turned around, so that nothing is translated."""
        return (
            self.source == other.destination
            and self.destination == other.source
            and self.protocol == other.protocol
            and self.source_port == other.destination_port
            and self.destination_port == other.source_port
            and _is_echo_of(self.icmp, other.icmp)
        )


def _is_echo_of(one: Icmp | None, other: Icmp | None) -> bool:
    """Types differ, a request's from its answer's; NAT changes the id alone."""
    return one is other or (one is not None and other is not None and (one.id, one.code) == (other.id, other.code))


class Count(NamedTuple):
    """What one direction has carried, where the kernel keeps account (net.netfilter.nf_conntrack_acct)."""

    packets: int
    bytes: int


class Entry(NamedTuple):
    """One entry.

    Args:
        family: of its addresses.
        original: the direction in which it was begun.
        reply: the direction that answers.
        status: what is known of it.
        id: the kernel's, made of where the entry lies in memory, its original tuple and its master; None if not said.
        timeout: seconds until it goes, if no packet comes; None for what has none, such as what is offloaded.
        zone: of both directions.
        mark: 0 if none.
        tcp_state: of TCP alone.
        helper: the helper's name, if it has one.
        has_master: whether a helper's entry is its master.
        original_count: what the original direction has carried; None if nobody counts. Likewise `reply_count`.
    """

    family: Family
    original: Tuple
    reply: Tuple
    status: Status
    id: int | None = None
    timeout: int | None = None
    zone: int = 0
    mark: int = 0
    tcp_state: TcpState | None = None
    helper: str | None = None
    has_master: bool = False
    original_count: Count | None = None
    reply_count: Count | None = None

    @property
    def is_translated(self) -> bool:
        """Whether it belongs to NAT: by its status, or because its two directions do not mirror each other."""
        return bool(_has(self.status, _TRANSLATED)) or not self.original.is_answered_by(self.reply)

    @property
    def belongs_to_a_helper(self) -> bool:
        """Whether a helper watches it, has expected it, or has made it."""
        by_status = bool(_has(self.status, _OF_A_HELPER))
        return by_status or self.helper is not None or self.has_master

    @property
    def is_offloaded(self) -> bool:
        """Whether its packets go by a flow table."""
        return bool(_has(self.status, _OFFLOADED))

    @property
    def is_answered(self) -> bool:
        """Whether both directions were seen."""
        return bool(_has(self.status, _SEEN_REPLY))

    @property
    def has_a_zone(self) -> bool:
        """Whether it is in another zone than that of packets which no rule gave one, in either direction."""
        return bool(self.zone or self.original.zone or self.reply.zone)


def address(family: Family, value: int) -> Address:
    """An address that a tuple has as an integer."""
    return IPv4Address(value) if family is Family.IPV4 else IPv6Address(value)
