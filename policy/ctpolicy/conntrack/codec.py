"""Entries of the conntrack table as netlink messages (linux/netfilter/nfnetlink_conntrack.h).

Tuples are most of the work, and nearly all of them have one of two layouts: addresses and ports, of IPv4 or of IPv6.
Such a tuple is unpacked at once, if its attributes' headers are those; every other is read attribute by attribute.
"""

from __future__ import annotations

from socket import AF_INET, AF_INET6
from struct import Struct, error
from typing import Final

from ctpolicy.conntrack.entry import Count, Entry, Icmp, Status, TcpState, Tuple
from ctpolicy.conntrack.netlink import (
    DUMP,
    NESTED,
    Bytes,
    attribute,
    attributes,
    header,
    malformed,
    message,
    nested,
    values,
)
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family

_CONNTRACK: Final = 1 << 8  # NFNL_SUBSYS_CTNETLINK
NEW: Final = _CONNTRACK | 0
"""The kind of message that tells one entry."""
_GET: Final = _CONNTRACK | 1
_DELETE: Final = _CONNTRACK | 2

_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _PROTOINFO, _HELP = 1, 2, 3, 4, 5
_TIMEOUT, _MARK, _COUNTERS_ORIG, _COUNTERS_REPLY, _ID, _TUPLE_MASTER, _ZONE = 7, 8, 9, 10, 12, 14, 18
_TUPLE_IP, _TUPLE_PROTO, _TUPLE_ZONE = 1, 2, 3
_V4_SRC, _V4_DST, _V6_SRC, _V6_DST = 1, 2, 3, 4
_PROTO_NUM, _SRC_PORT, _DST_PORT = 1, 2, 3
_ICMP: Final = {PROTOCOL_NUMBERS["icmp"]: (4, 5, 6), PROTOCOL_NUMBERS["icmpv6"]: (7, 8, 9)}
_PROTOINFO_TCP, _PROTOINFO_TCP_STATE = 1, 1
_HELP_NAME: Final = 1
_COUNTERS_PACKETS, _COUNTERS_BYTES = 1, 2

_FAMILIES: Final = {int(AF_INET): Family.IPV4, int(AF_INET6): Family.IPV6}
_NUMBERS: Final = {family: number for number, family in _FAMILIES.items()}
_NFGEN_SIZE: Final = 4
_PREFIX_SIZE: Final = 16 + _NFGEN_SIZE
_ATTRIBUTE: Final = Struct("=HH")
_INTEGER: Final = Struct("!I")

_V4_WITH_PORTS: Final = Struct("!IIIIIIIB3xIH2xIH2x")
_V6_WITH_PORTS: Final = Struct("!II16sI16sIIB3xIH2xIH2x")


def _headers(source: int, destination: int, width: int) -> tuple[int, ...]:
    """The headers of a tuple's attributes, in the kernel's order, for addresses of so many bytes."""
    return (
        header(NESTED | _TUPLE_IP, 4 + 2 * (4 + width)),
        header(source, 4 + width),
        header(destination, 4 + width),
        header(NESTED | _TUPLE_PROTO, 28),
        header(_PROTO_NUM, 5),
        header(_SRC_PORT, 6),
        header(_DST_PORT, 6),
    )


_V4_HEADERS: Final = _headers(_V4_SRC, _V4_DST, 4)
_V6_HEADERS: Final = _headers(_V6_SRC, _V6_DST, 16)


class _Statuses(dict[int, Status]):
    """Each status that was seen, because to make one takes as long as all the rest of an entry."""

    def __missing__(self, bits: int) -> Status:
        self[bits] = Status(bits)
        return self[bits]


_STATUSES: Final = _Statuses()
_TCP_STATES: Final = {int(state): state for state in TcpState}


def dump_request(sequence: int) -> bytes:
    """Ask for every entry of both families."""
    return message(_GET, DUMP, sequence, bytes(_NFGEN_SIZE))


def deletion(entry: Entry, flags: int, sequence: int) -> bytes:
    """Ask to delete one entry: that of these tuples, zone and id, and no other.

    The kernel makes the id of where the entry lies, of its original tuple and of its master (Linux 6.18), so an entry
    that has come into the place of another may have the same, though it is translated. The reply tuple tells those
    apart, and so the entry is looked up by that.

    Raises:
        ValueError: it has no id, so that a newer entry with its tuple could go in its place. That is a bug of ours.
    """
    if entry.id is None:
        raise ValueError("an entry without its id")
    # Without a tuple the kernel would delete all that there is.
    what = encode_tuple(entry.family, entry.reply, _TUPLE_REPLY) + attribute(_ID, _INTEGER.pack(entry.id))
    zone = attribute(_ZONE, entry.zone.to_bytes(2)) if entry.zone else b""
    return message(_DELETE, flags, sequence, bytes((_NUMBERS[entry.family], 0, 0, 0)) + what + zone)


def encode_tuple(family: Family, of: Tuple, direction: int = _TUPLE_ORIG) -> bytes:
    """A tuple, as the kernel takes and tells it."""
    width = family.bits // 8
    source, destination = (_V4_SRC, _V4_DST) if family is Family.IPV4 else (_V6_SRC, _V6_DST)
    addresses = nested(
        _TUPLE_IP,
        attribute(source, of.source.to_bytes(width)),
        attribute(destination, of.destination.to_bytes(width)),
    )
    parts = [attribute(_PROTO_NUM, bytes((of.protocol,)))]
    if of.source_port is not None and of.destination_port is not None:
        parts += [
            attribute(_SRC_PORT, of.source_port.to_bytes(2)),
            attribute(_DST_PORT, of.destination_port.to_bytes(2)),
        ]
    if of.icmp is not None:
        identifier, kind, code = _ICMP[of.protocol]
        parts += [
            attribute(identifier, of.icmp.id.to_bytes(2)),
            attribute(kind, bytes((of.icmp.type,))),
            attribute(code, bytes((of.icmp.code,))),
        ]
    zone = attribute(_TUPLE_ZONE, of.zone.to_bytes(2)) if of.zone else b""
    return nested(direction, addresses, nested(_TUPLE_PROTO, *parts), zone)


def decode(buffer: Bytes, start: int, end: int) -> Entry | None:
    """One entry from a message's payload; None if it is of neither family.

    Raises:
        HostError: it is no such message.
    """
    try:
        family = _FAMILIES.get(buffer[start])
        return None if family is None else _decode(family, buffer, start, end)
    except (error, IndexError) as cut:
        raise malformed() from cut


def _decode(family: Family, buffer: Bytes, start: int, end: int) -> Entry:
    original = reply = identifier = timeout = tcp_state = helper = original_count = reply_count = None
    status = mark = zone = 0
    has_master = False
    at = start + _NFGEN_SIZE
    # The loop of netlink.attributes, written out: it is most of what a dump takes.
    while at < end:
        if end - at < 4:
            raise malformed()
        length, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if not 4 <= length <= end - at:
            raise malformed()
        kind &= 0x3FFF
        value, stop = at + 4, at + length
        if kind == _TUPLE_ORIG:
            original = decode_tuple(family, buffer, value, stop)
        elif kind == _TUPLE_REPLY:
            reply = decode_tuple(family, buffer, value, stop)
        elif kind == _STATUS:
            (status,) = _INTEGER.unpack_from(buffer, value)
        elif kind == _TIMEOUT:
            (timeout,) = _INTEGER.unpack_from(buffer, value)
        elif kind == _ID:
            (identifier,) = _INTEGER.unpack_from(buffer, value)
        elif kind == _MARK:
            (mark,) = _INTEGER.unpack_from(buffer, value)
        elif kind == _PROTOINFO:
            tcp_state = _tcp_state(buffer, value, stop)
        elif kind == _COUNTERS_ORIG:
            original_count = _count(buffer, value, stop)
        elif kind == _COUNTERS_REPLY:
            reply_count = _count(buffer, value, stop)
        elif kind == _HELP:
            helper = values(buffer, value, stop).get(_HELP_NAME, b"").rstrip(b"\0").decode(errors="replace")
        elif kind == _TUPLE_MASTER:
            has_master = True
        elif kind == _ZONE:
            zone = int.from_bytes(buffer[value:stop])
        at += length + 3 & ~3
    if original is None or reply is None:
        raise malformed()
    return Entry(
        family,
        original,
        reply,
        _STATUSES[status],
        identifier,
        timeout,
        zone,
        mark,
        tcp_state,
        helper,
        has_master,
        original_count,
        reply_count,
    )


def decode_tuple(family: Family, buffer: Bytes, start: int, end: int) -> Tuple:
    """One direction of an entry."""
    if family is Family.IPV4:
        if end - start == _V4_WITH_PORTS.size:
            h0, h1, source, h2, destination, h3, h4, protocol, h5, sport, h6, dport = _V4_WITH_PORTS.unpack_from(
                buffer, start
            )
            if (h0, h1, h2, h3, h4, h5, h6) == _V4_HEADERS:
                return Tuple(source, destination, protocol, sport, dport)
    elif end - start == _V6_WITH_PORTS.size:
        h0, h1, v6_source, h2, v6_destination, h3, h4, protocol, h5, sport, h6, dport = _V6_WITH_PORTS.unpack_from(
            buffer, start
        )
        if (h0, h1, h2, h3, h4, h5, h6) == _V6_HEADERS:
            return Tuple(int.from_bytes(v6_source), int.from_bytes(v6_destination), protocol, sport, dport)
    return decode_any_tuple(family, buffer, start, end)


def decode_any_tuple(family: Family, buffer: Bytes, start: int, end: int) -> Tuple:
    """One direction of an entry, in whatever order its attributes come."""
    parts = values(buffer, start, end)
    addresses = _within(parts, _TUPLE_IP)
    protocol = _within(parts, _TUPLE_PROTO)
    source, destination = (_V4_SRC, _V4_DST) if family is Family.IPV4 else (_V6_SRC, _V6_DST)
    has_half_its_ports = (_SRC_PORT in protocol) != (_DST_PORT in protocol)
    if not {source, destination} <= addresses.keys() or _PROTO_NUM not in protocol or has_half_its_ports:
        raise malformed()
    number = protocol[_PROTO_NUM][0]
    icmp = [protocol.get(kind) for kind in _ICMP.get(number, ())]
    return Tuple(
        int.from_bytes(addresses[source]),
        int.from_bytes(addresses[destination]),
        number,
        _port(protocol.get(_SRC_PORT)),
        _port(protocol.get(_DST_PORT)),
        Icmp(*(int.from_bytes(part) for part in icmp if part)) if icmp and all(icmp) else None,
        int.from_bytes(parts.get(_TUPLE_ZONE, b"")),
    )


def _within(parts: dict[int, bytes], kind: int) -> dict[int, bytes]:
    inside = parts.get(kind, b"")
    return values(inside, 0, len(inside))


def _port(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value)


def _tcp_state(buffer: Bytes, start: int, end: int) -> TcpState | None:
    for kind, value, stop in attributes(buffer, start, end):
        if kind == _PROTOINFO_TCP:
            for inner, state, _ in attributes(buffer, value, stop):
                if inner == _PROTOINFO_TCP_STATE:
                    return _TCP_STATES.get(buffer[state], TcpState.NONE)
    return None


def _count(buffer: Bytes, start: int, end: int) -> Count:
    counted = values(buffer, start, end)
    return Count(int.from_bytes(counted.get(_COUNTERS_PACKETS, b"")), int.from_bytes(counted.get(_COUNTERS_BYTES, b"")))
