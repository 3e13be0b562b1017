"""Addresses as people write them: one address, a prefix, or a range; and lists of them in files of their own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

from ctpolicy.language.diagnostics import Diagnostic, Place
from ctpolicy.language.mistakes import ValueMistake
from ctpolicy.language.policy import Addresses
from ctpolicy.language.source import ListReader, read_list
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet

EXPECTED: Final = "an address, a prefix such as 10.0.0.0/8, or a range such as 10.0.8.0-10.0.8.15"

MOST_TOLD: Final = 10
"""Mistakes of one address list that are told one by one."""

_LOOKS_NUMERIC: Final = re.compile(r"[0-9a-fA-F]*:.*|[0-9.]+([/-].*)?")
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,2}")


def looks_like_address(text: str) -> bool:
    """Whether text can only have been meant as an address, prefix or range: it has a colon, or digits and dots."""
    return ("." in text or ":" in text) and _LOOKS_NUMERIC.match(text) is not None


def parse_addresses(text: str) -> tuple[Family, Interval]:
    """The interval that an address, a prefix or a range is.

    Raises:
        ValueMistake: it is none, has host bits set, is reversed, or its ends are of two families.
    """
    found = _quickly(text)
    return found if found is not None else _carefully(text)


def addresses_of(found: Iterable[tuple[Family, Interval]]) -> Addresses:
    """The union of intervals of both families."""
    ipv4: list[Interval] = []
    ipv6: list[Interval] = []
    for family, interval in found:
        (ipv4 if family is Family.IPV4 else ipv6).append(interval)
    return Addresses(IntervalSet.of(ipv4), IntervalSet.of(ipv6))


def load_list(path: Path, within: Path, reader: ListReader = read_list) -> tuple[Addresses, list[Diagnostic]]:
    """The addresses in a file, one a line, `#` begins a comment; and what is wrong with it, at its own lines.

    Raises:
        UnreadableError: see `read_list`.
    """
    found: list[tuple[Family, Interval]] = []
    mistakes: list[Diagnostic] = []
    more = 0
    for number, line in enumerate(reader(path, within).split("\n"), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            found.append(_quickly(text) or _carefully(text))
        except ValueMistake as mistake:
            if len(mistakes) < MOST_TOLD:
                mistakes.append(_in_list(mistake, path, number, line, text))
            else:
                more += 1
    if more:
        mistakes.append(Diagnostic(Place(str(path)), f"has {more} more mistakes like these"))
    return addresses_of(found), mistakes


def _in_list(mistake: ValueMistake, path: Path, number: int, line: str, text: str) -> Diagnostic:
    column = line.index(text) + mistake.offset + 1
    length = len(text) - mistake.offset if mistake.length is None else mistake.length
    place = Place(str(path), number, column, max(length, 1), line.rstrip("\r"))
    return Diagnostic(place, mistake.message, mistake.expected, mistake.suggestion)


def _quickly(text: str) -> tuple[Family, Interval] | None:
    """The same for what is right and common, by inet_pton: 100,000 lines in a third of the time. None otherwise.

    glibc's and musl's inet_pton take nothing that `ipaddress` refuses: no octal, no missing parts, no zones.
    """
    address, slash, length = text.partition("/")
    left, dash, right = address.partition("-")
    family, bits = (Family.IPV6, 128) if ":" in left else (Family.IPV4, 32)
    try:
        first = int.from_bytes(inet_pton(AF_INET6 if bits == 128 else AF_INET, left))
        last = int.from_bytes(inet_pton(AF_INET6 if bits == 128 else AF_INET, right)) if dash else first
    except (OSError, ValueError):
        return None
    if not slash:
        return (family, (first, last)) if first <= last else None
    if dash or not _LENGTH.fullmatch(length) or int(length) > bits:
        return None
    hosts = (1 << (bits - int(length))) - 1
    return None if first & hosts else (family, (first, first | hosts))


def _carefully(text: str) -> tuple[Family, Interval]:
    if "/" in text:
        return _prefix(text)
    if "-" in text and looks_like_address(text):
        return _range(text)
    address = _address(text, 0)
    return _family(address), (int(address), int(address))


def _prefix(text: str) -> tuple[Family, Interval]:
    base, _, length = text.partition("/")
    address = _address(base, 0)
    at = len(base) + 1
    if not _LENGTH.fullmatch(length):
        raise _not_a_length(address, length, at)
    if int(length) > address.max_prefixlen:
        raise ValueMistake(f"prefix length {length} is above {address.max_prefixlen}", offset=at)
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    if network.network_address != address:
        raise ValueMistake(f"`{text}` has host bits set", "a prefix, or one address", str(network))
    return _family(address), (int(network.network_address), int(network.broadcast_address))


def _not_a_length(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: str, at: int) -> ValueMistake:
    try:
        suggestion = str(ipaddress.ip_network(f"{address}/{length}", strict=False)) if "." in length else ""
    except ValueError:
        suggestion = ""
    return ValueMistake(
        f"`{length}` is not a prefix length", f"a number from 0 to {address.max_prefixlen}", suggestion, at
    )


def _range(text: str) -> tuple[Family, Interval]:
    left, _, right = text.partition("-")
    first, last = _address(left.rstrip(), 0), _address(right.lstrip(), len(text) - len(right.lstrip()))
    if first.version != last.version:
        raise ValueMistake("the ends of this range are of two families", "two IPv4 or two IPv6 addresses")
    if left != left.rstrip() or right != right.lstrip():
        raise ValueMistake("a range is written without blanks", suggestion=f"{first}-{last}")
    if int(first) > int(last):
        raise ValueMistake("this range is reversed", "the lower address first", f"{last}-{first}")
    return _family(first), (int(first), int(last))


def _address(text: str, offset: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        if "%" in text:
            raise ValueError
        return ipaddress.ip_address(text)
    except ValueError:
        message, suggestion = _why_not(text)
        raise ValueMistake(message, EXPECTED, suggestion, offset, len(text)) from None


def _why_not(text: str) -> tuple[str, str]:
    """Why text is not an address, and what it may have been."""
    if not text:
        return "an address is missing", ""
    if "%" in text:
        return f"`{text}` has a zone; packets have none", text.partition("%")[0]
    parts = text.split(".")
    if all(part.isascii() and part.isdigit() for part in parts):
        if any(len(part) > 1 and part[0] == "0" for part in parts):
            return f"`{text}` has leading zeros, which are octal to some tools", ""
        if len(parts) != 4:
            return f"`{text}` has {len(parts)} parts; an IPv4 address has four", ""
        return f"`{text}` has a part above 255", ""
    if looks_like_address(text):
        return f"`{text}` is not an IPv4 or IPv6 address", ""
    return f"`{text}` is not an address (names are not looked up)", ""


def _family(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Family:
    return Family.IPV4 if address.version == 4 else Family.IPV6
