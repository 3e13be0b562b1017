"""Entries as `conntrack -L -o extended,id` prints them (conntrack-tools 1.4.7), so that it can judge what was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.conntrack.entry import Count, Entry, Status, Tuple, address
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Family

_NAMES: Final = {number: name for name, number in PROTOCOL_NUMBERS.items()}
_FAMILIES: Final = {Family.IPV4: "ipv4     2", Family.IPV6: "ipv6     10"}
_GRE: Final = PROTOCOL_NUMBERS["gre"]
_KNOWN: Final = ("tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "udplite", "gre")


def printed(entry: Entry) -> str:
    """The line, without `use=`."""
    return " ".join(_words(entry))


def _words(entry: Entry) -> Iterator[str]:
    yield _FAMILIES[entry.family]
    name = _NAMES.get(entry.original.protocol, "")
    yield f"{name if name in _KNOWN else 'unknown':<8} {entry.original.protocol}"
    if entry.timeout is not None:
        yield str(entry.timeout)
    if entry.tcp_state is not None:
        yield entry.tcp_state.name
    yield from _tuple(entry.family, entry.original, "zone-orig", entry.original_count)
    if not entry.status & Status.SEEN_REPLY:
        yield "[UNREPLIED]"
    yield from _tuple(entry.family, entry.reply, "zone-reply", entry.reply_count)
    if entry.status & Status.ASSURED:
        yield "[ASSURED]"
    yield f"mark={entry.mark}"
    if entry.zone:
        yield f"zone={entry.zone}"
    if entry.helper is not None:
        yield f"helper={entry.helper}"
    yield f"id={entry.id}"


def _tuple(family: Family, one: Tuple, zone: str, count: Count | None) -> Iterator[str]:
    yield f"src={address(family, one.source)}"
    yield f"dst={address(family, one.destination)}"
    if one.source_port is not None:
        words, form = (("srckey", "dstkey"), "#x") if one.protocol == _GRE else (("sport", "dport"), "d")
        yield f"{words[0]}={one.source_port:{form}} {words[1]}={one.destination_port:{form}}"
    if one.icmp is not None:
        yield f"type={one.icmp.type} code={one.icmp.code} id={one.icmp.id}"
    if one.zone:
        yield f"{zone}={one.zone}"
    if count is not None:
        yield f"packets={count.packets} bytes={count.bytes}"
