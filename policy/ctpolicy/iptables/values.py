"""Addresses, ports and protocols as iptables and ipset print them, to integers and back."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from ctpolicy.netfilter.protocol_words import PROTOCOL_WORDS
from ctpolicy.packetspace.fields import PORT_BITS, Family
from ctpolicy.packetspace.intervals import Interval, prefix_length

_DOMAINS: Final = {Family.IPV4: AF_INET, Family.IPV6: AF_INET6}

_BUILT_IN: Final = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite", 1: "icmp", 58: "ipv6-icmp", 50: "esp", 51: "ah"}
"""The names that iptables itself knows (xtables_chain_protos). Others it takes from the host's /etc/protocols, where
4 is `ipencap` (Debian), `ipv4` (Red Hat) or missing, so that a rule that names it cannot be loaded everywhere."""


def protocol_text(number: int) -> str:
    """A protocol as every host's iptables takes it."""
    return _BUILT_IN.get(number, str(number))


def parse_protocol(text: str) -> int:
    """A protocol's number, of its name or itself.

    Raises:
        ValueError: it is neither.
    """
    number = PROTOCOL_WORDS.get(text.lower())
    if number is None:
        number = _number(text)
    if number > 255:
        raise ValueError(f"`{text}` is no protocol of IP")
    return number


def address_text(value: int, family: Family) -> str:
    """An address as iptables and ipset print it."""
    if family is Family.IPV4:
        return inet_ntop(AF_INET, value.to_bytes(4))
    # glibc prints ::ffff:1.2.3.4, as the tools do; packetspace's notation has only hexadecimal digits there.
    return inet_ntop(AF_INET6, value.to_bytes(16))


def parse_address(text: str, family: Family) -> int:
    """An address as an integer.

    Raises:
        ValueError: it is none of this family.
    """
    try:
        return int.from_bytes(inet_pton(_DOMAINS[family], text))
    except OSError:
        raise ValueError(f"`{text}` is no {family.value} address") from None


def prefix_text(interval: Interval, family: Family) -> str:
    """A prefix, with its length also where that is one address.

    Raises:
        ValueError: it is no prefix.
    """
    length = prefix_length(interval, family.bits)
    if length is None:
        raise ValueError(f"{interval} is no prefix")
    return f"{address_text(interval[0], family)}/{length}"


def parse_prefix(text: str, family: Family) -> Interval:
    """A prefix or an address.

    Raises:
        ValueError: it is neither; so is a mask with holes.
    """
    address, slash, after = text.partition("/")
    length = _length(after, family) if slash else family.bits
    size = 1 << (family.bits - length)
    first = parse_address(address, family) & -size
    return first, first + size - 1


def _length(text: str, family: Family) -> int:
    if not text.isdigit():  # IPv4 with a mask, as old versions print some
        mask = parse_address(text, family)
        length = mask.bit_count()
        if mask != ((1 << length) - 1) << (family.bits - length):
            raise ValueError(f"the mask {text} has holes")
        return length
    if int(text) > family.bits:
        raise ValueError(f"/{text} is longer than an {family.value} address")
    return int(text)


def range_text(interval: Interval, family: Family) -> str:
    """A range of addresses, also of one."""
    first, last = interval
    return f"{address_text(first, family)}-{address_text(last, family)}"


def parse_range(text: str, family: Family) -> Interval:
    """A range of addresses; a single one is one too.

    Raises:
        ValueError: it is none.
    """
    first, _, last = text.partition("-")
    return _ordered(parse_address(first, family), parse_address(last or first, family))


def ports_text(interval: Interval, between: str = ":") -> str:
    """A port or a range of them."""
    first, last = interval
    return str(first) if first == last else f"{first}{between}{last}"


def parse_ports(text: str, between: str = ":") -> Interval:
    """A port or a range of them.

    Raises:
        ValueError: it is neither.
    """
    first, has_range, last = text.partition(between)
    if not has_range:
        return _port(text), _port(text)
    return _ordered(_port(first or "0"), _port(last or "65535"))


def _port(text: str) -> int:
    number = _number(text)
    if number >> PORT_BITS:
        raise ValueError(f"`{text}` is no port")
    return number


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"`{text}` is no number")
    return int(text)


def _ordered(first: int, last: int) -> Interval:
    if first > last:
        raise ValueError("a range ends before it begins")
    return first, last
