"""Entries off netlink messages, no more of them than statistics want: as rows of bytes (statistics.Row).

Nearly all entries are TCP and UDP, whose two tuples have one of two layouts; one regular expression takes both out of a
message at once. The headers of their attributes are literal in it, so that any other layout does not match; such an
entry is decoded as a whole.
"""

from __future__ import annotations

from re import DOTALL, Match, Pattern, escape
from re import compile as pattern
from socket import AF_INET, AF_INET6, inet_ntop
from struct import Struct, error, pack
from typing import Final

from ctpolicy.conntrack import codec
from ctpolicy.conntrack.entry import Entry, Status, TcpState
from ctpolicy.conntrack.netlink import NESTED, Bytes, malformed
from ctpolicy.conntrack.statistics import SOURCE, SOURCE_PORT, Row
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family

_STATUS, _PROTOINFO, _ZONE = 3, 4, 18
_SEEN_REPLY: Final = int(Status.SEEN_REPLY)
_ASSURED: Final = int(Status.ASSURED)
_NAT: Final = int(Status.SRC_NAT | Status.DST_NAT)
_OFFLOADED: Final = int(Status.OFFLOAD | Status.HW_OFFLOAD)
_ATTRIBUTE: Final = Struct("=HH")
_INTEGER: Final = Struct("!I")
_TCP, _DCCP, _SCTP = (PROTOCOL_NUMBERS[name] for name in ("tcp", "dccp", "sctp"))

_TCP_STATES: Final = {int(state): state.name.encode() for state in TcpState}
_DCCP_STATES: Final = dict(
    enumerate(b"NONE REQUEST RESPOND PARTOPEN OPEN CLOSEREQ CLOSING TIMEWAIT IGNORE INVALID".split())
)
_SCTP_STATES: Final = dict(
    enumerate(
        b"NONE CLOSED COOKIE_WAIT COOKIE_ECHOED ESTABLISHED SHUTDOWN_SENT SHUTDOWN_RECD SHUTDOWN_ACK_SENT "
        b"HEARTBEAT_SENT HEARTBEAT_ACKED".split()
    )
)
_GRE: Final = PROTOCOL_NUMBERS["gre"]
_STATES: Final = {_TCP: _TCP_STATES, _DCCP: _DCCP_STATES, _SCTP: _SCTP_STATES}

_WIDE: Final = 17
"""Bytes of text in the place of an address, so that it is taken for none."""


def _layout(source: int, destination: int, width: int) -> Pattern[bytes]:
    """Both tuples of an entry with ports, addresses of so many bytes, in the kernel's order."""

    def header(kind: int, length: int) -> bytes:
        return escape(pack("=HH", length, kind))

    def one(kind: int, names: tuple[bytes, ...]) -> bytes:
        return b"".join(
            (
                *(header(NESTED | kind, 4 + 4 + 2 * (4 + width) + 28), header(NESTED | 1, 4 + 2 * (4 + width))),
                *(header(source, 4 + width), names[0], header(destination, 4 + width), names[1]),
                *(header(NESTED | 2, 28), header(1, 5), names[2], b".{3}"),
                *(header(2, 6), names[3], b"..", header(3, 6), names[4], b".."),
            )
        )

    address = b"(.{%d})" % width
    return pattern(
        b".{4}"
        + one(1, (address, address, b"(.)", b"(..)", b"(..)"))
        + b"(?:"
        + one(2, (rb"\2", rb"\1", rb"\3", rb"\5", rb"\4"))
        + b"()|"
        + one(2, (address, address, b"(.)", b"(..)", b"(..)"))
        + b")",
        DOTALL,
    )


_LAYOUTS: Final = {int(AF_INET): _layout(1, 2, 4), int(AF_INET6): _layout(3, 4, 16)}
_FAMILIES: Final = {int(AF_INET): b"4", int(AF_INET6): b"6"}
_NUMBERS: Final = [b"%d" % number for number in range(256)]


def row(buffer: Bytes, start: int, end: int) -> Row | None:
    """One entry from a message's payload; None if it is of neither family.

    Raises:
        HostError: it is no such message.
    """
    try:
        family = buffer[start]
        layout = _LAYOUTS.get(family)
        if layout is None:
            return None
        found = layout.match(buffer, start, end)
        return _row(family, found, buffer, end) if found else _whole(family, buffer, start, end)
    except (error, IndexError) as cut:
        raise malformed() from cut


def _row(family: int, found: Match[bytes], buffer: Bytes, end: int) -> Row:
    source, destination, protocol, source_port, destination_port, mirrored = found.group(1, 2, 3, 4, 5, 6)
    number = protocol[0]
    if number == _GRE:
        source_port = destination_port = b""  # they are keys
    states = _STATES.get(number)
    status, zone = 0, b""
    state = b""
    at = found.end()
    while at < end:
        if end - at < 4:
            raise malformed()
        length, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if not 4 <= length <= end - at:
            raise malformed()
        kind &= 0x3FFF
        if kind == _STATUS:
            (status,) = _INTEGER.unpack_from(buffer, at + 4)
            if states is None:
                break  # the zone comes before, and nothing after it is wanted
        elif kind == _PROTOINFO:
            # The protocol's nest, and in it the state, come first: 4 bytes of header each (Linux 2.6.14 to 6.18).
            state = states.get(buffer[at + 12], b"NONE") if states and length > 12 else b""
            break
        elif kind == _ZONE:
            zone = b"zone=%d " % int.from_bytes(buffer[at + 4 : at + length])
        at += length + 3 & ~3
    return _finished(
        (_FAMILIES[family], _NUMBERS[number], state, source, destination, source_port, destination_port),
        status,
        mirrored is not None,
        zone,
    )


def _finished(beginning: Row, status: int, is_mirrored: bool, zone: bytes) -> Row:
    offloaded = b""
    seventh = b""
    if status & _OFFLOADED:
        offloaded = b"[OFFLOAD] "
        port = beginning[SOURCE_PORT]
        seventh = (b"%d" % int.from_bytes(port)).rjust(_WIDE) if port else beginning[SOURCE]
    return (
        *beginning,
        b"",
        b"" if status & _SEEN_REPLY else b" ",
        b" " if is_mirrored and not status & _NAT else b"",
        b" " if status & _ASSURED else b"",
        zone + offloaded,
        seventh,
    )


def _whole(family: int, buffer: Bytes, start: int, end: int) -> Row | None:
    """What has no ports, or a zone in one direction, decoded as a whole."""
    entry = codec.decode(buffer, start, end)
    return None if entry is None else row_of(family, entry)


def row_of(family: int, entry: Entry) -> Row:
    """The row of an entry."""
    of, width = entry.original, entry.family.bits // 8
    state = entry.tcp_state.name.encode() if entry.tcp_state is not None else b""
    keys = (of.source_port, of.destination_port)
    ports = [b"" if key is None or of.protocol == _GRE else key.to_bytes(2) for key in keys]
    zones = (("zone", entry.zone), ("zone-orig", of.zone), ("zone-reply", entry.reply.zone))
    beginning = (
        *(_FAMILIES[family], _NUMBERS[of.protocol], state),
        *(of.source.to_bytes(width), of.destination.to_bytes(width), *ports),
    )
    told = "".join(f"{name}={zone} " for name, zone in zones if zone).encode()
    return _finished(beginning, int(entry.status), not entry.is_translated, told)


def address_name(value: bytes) -> str:
    """The name of what stands in the place of an address."""
    if len(value) == Family.IPV4.bits // 8:
        return inet_ntop(AF_INET, value)
    return inet_ntop(AF_INET6, value) if len(value) == Family.IPV6.bits // 8 else value.decode().strip()


def port_name(value: bytes) -> str:
    """A port's number."""
    return str(int.from_bytes(value))
