"""Addresses, ports and names as nft writes them, in JSON and in text, and back into integers.

nft itself must never parse a value of ours: it asks the resolver about names, reads `010.0.0.1` as 8.0.0.1 and
`1.2.3` as 1.2.0.3 (1.0.6). So what is written here is what inet_ntop and `ipaddress` print, and integers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, Final

from ctpolicy.netfilter.protocol_words import PROTOCOL_WORDS
from ctpolicy.nftables.ruleset import Datatype, Element, Joined, Value
from ctpolicy.packetspace.intervals import Interval, prefix_length
from ctpolicy.packetspace.packet import address_text as packet_address_text

_BITS: Final = {Datatype.IPV4_ADDRESS: 32, Datatype.IPV6_ADDRESS: 128}
_WORDS: Final = {Datatype.INTERFACE, Datatype.ADDRESS_TYPE}
_NUMBERS: Final = {Datatype.PORT, Datatype.PROTOCOL}


def key_json(element: Element, types: Sequence[Datatype]) -> Any:
    """An element of one field or of several, as libnftables lists it."""
    if isinstance(element, Joined):
        return {"concat": [element_json(part, of) for part, of in zip(element.parts, types, strict=True)]}
    return element_json(element, types[0])


def key_text(element: Element, types: Sequence[Datatype]) -> str:
    """An element of one field or of several, as `nft -f` takes it."""
    if isinstance(element, Joined):
        return " . ".join(element_text(part, of) for part, of in zip(element.parts, types, strict=True))
    return element_text(element, types[0])


def parse_key(value: Any, types: Sequence[Datatype]) -> Element:
    """An element of one field or of several, from a listing.

    Raises:
        ValueError: it is not of these types.
    """
    if len(types) == 1:
        return parse_element(value, types[0])
    match value:
        case {"concat": list(parts)}:
            return Joined(tuple(parse_element(part, of) for part, of in zip(parts, types, strict=True)))
    raise ValueError(f"{value!r} is not of {len(types)} fields")


def address_text(value: int, datatype: Datatype) -> str:
    """An address as nft lists it."""
    if datatype is Datatype.IPV4_ADDRESS:
        return inet_ntop(AF_INET, value.to_bytes(4))
    return packet_address_text(ipaddress.IPv6Address(value))


def element_json(element: Value, datatype: Datatype) -> Any:
    """An element as libnftables lists it, which is also how it takes it.

    A range that is a prefix is listed as the prefix, and one value as itself.
    """
    if isinstance(element, str):
        return element
    first, last = element
    if datatype not in _BITS:
        return first if first == last else {"range": [first, last]}
    if first == last:
        return address_text(first, datatype)
    length = prefix_length(element, _BITS[datatype])
    if length is not None:
        return {"prefix": {"addr": address_text(first, datatype), "len": length}}
    return {"range": [address_text(first, datatype), address_text(last, datatype)]}


def element_text(element: Value, datatype: Datatype) -> str:
    """An element as `nft -f` takes it."""
    if isinstance(element, str):
        return f'"{element}"' if datatype is Datatype.INTERFACE else element
    value = element_json(element, datatype)
    match value:
        case {"prefix": {"addr": address, "len": length}}:
            return f"{address}/{length}"
        case {"range": [first, last]}:
            return f"{first}-{last}"
    return str(value)


def parse_element(value: Any, datatype: Datatype) -> Value:
    """An element from a listing.

    Raises:
        ValueError: it is not one value, prefix or range of this type.
    """
    match value:
        case str() if datatype in _WORDS:
            return value
        case str() | int():
            number = _parse_value(value, datatype)
            return number, number
        case {"prefix": {"addr": str(address), "len": int(length)}} if bits := _BITS.get(datatype):
            return _prefix(_parse_value(address, datatype), length, bits)
        case {"range": [first, last]}:
            return _parse_value(first, datatype), _parse_value(last, datatype)
    raise ValueError(f"{value!r} is no {datatype.value}")


def parse_v4_elements(values: Iterable[Any]) -> list[Interval]:
    """Elements that are IPv4 addresses: what parse_element makes of each, three times as fast for long lists.

    Raises:
        ValueError: one is no address, prefix or range.
    """
    found: list[Interval] = []
    try:
        for value in values:
            if type(value) is str:
                number = int.from_bytes(inet_pton(AF_INET, value))
                found.append((number, number))
            elif (prefix := value.get("prefix")) is not None:
                found.append(_prefix(int.from_bytes(inet_pton(AF_INET, prefix["addr"])), prefix["len"], 32))
            else:
                first, last = value["range"]
                found.append((int.from_bytes(inet_pton(AF_INET, first)), int.from_bytes(inet_pton(AF_INET, last))))
    except (OSError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"{error!r} in a list of IPv4 addresses") from error
    return found


def _prefix(address: int, length: int, bits: int) -> Interval:
    size = 1 << (bits - length)
    first = address & ~(size - 1)
    return first, first + size - 1


def _parse_value(value: Any, datatype: Datatype) -> int:
    match value:
        case int() if datatype in _NUMBERS and not isinstance(value, bool):
            return value
        case str() if datatype is Datatype.IPV4_ADDRESS:
            return int.from_bytes(_address_bytes(AF_INET, value))
        case str() if datatype is Datatype.IPV6_ADDRESS:
            return int.from_bytes(_address_bytes(AF_INET6, value))
        case str() if datatype is Datatype.PROTOCOL and value in PROTOCOL_WORDS:
            return PROTOCOL_WORDS[value]
    raise ValueError(f"{value!r} is no {datatype.value}")


def _address_bytes(family: int, text: str) -> bytes:
    try:
        return inet_pton(family, text)
    except OSError:
        raise ValueError(f"{text!r} is no address") from None
