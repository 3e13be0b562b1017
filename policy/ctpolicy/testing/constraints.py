"""What tests ask of packets, as people write it, to boxes of packets: `protocol="tcp", destination_port="1-1023"`.

Every argument is one value or several; what is not said may be anything. A contradiction is the test author's mistake,
and is told at once: a strategy that silently gave no packets would make a test that cannot fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypedDict, TypeVar

from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family, Path, protocol_name, protocol_number
from ctpolicy.packetspace.interface_values import interface_set
from ctpolicy.packetspace.interfaces import Interfaces, is_interface_pattern
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set

AnyAddress = str | IPv4Address | IPv6Address | IPv4Network | IPv6Network
"""An address, a prefix, or a range `FIRST-LAST`."""

Value = TypeVar("Value")

_PORT: Final = re.compile(r"(?:0|[1-9][0-9]{0,4})")


class Constraints(TypedDict, total=False):
    """What packets may be asked to be. Each is one value, or an iterable of several; what is left out may be anything.

    Args:
        path: `in`, `forward` or `out`.
        family: `ipv4` or `ipv6`.
        protocol: by name or number.
        source: an address, a prefix or a range `FIRST-LAST`, of one family or, as several, of both.
        destination: likewise.
        source_port: a number, a range `FIRST-LAST`, or several; a `range` is several. Only protocols with ports then.
        destination_port: likewise.
        interface: a name, or the beginning of one and a `*`; `""` is one that no policy names.
    """

    path: Path | str | Iterable[Path | str]
    family: Family | str | Iterable[Family | str]
    protocol: int | str | Iterable[int | str]
    source: AnyAddress | Iterable[AnyAddress]
    destination: AnyAddress | Iterable[AnyAddress]
    source_port: int | str | Iterable[int | str | range]
    destination_port: int | str | Iterable[int | str | range]
    interface: str | Iterable[str]


def space_of(asked: Constraints) -> PacketSpace:
    """The packets that are as asked.

    Raises:
        ValueError: an argument is no such value, or no packet can be all of this.
    """
    unknown = set(asked) - set(Constraints.__annotations__)
    if unknown:
        known = ", ".join(Constraints.__annotations__)
        raise TypeError(f"packets cannot be asked for their {', '.join(sorted(unknown))}, only for {known}")
    space = PacketSpace.of_boxes(_boxes(asked))
    if space.witness() is None:
        raise ValueError(f"no host can meet such a packet: {in_words(asked)}")
    return space


def in_words(asked: Constraints) -> str:
    """What was asked, as it is written in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in asked.items()) or "any packet"


def _boxes(asked: Constraints) -> Iterator[Box]:
    """One for each family that all of it leaves."""
    shared = dict(_fields(asked))
    families = set(_each("family", asked, _family) or Family)
    ends = {
        field: _addresses(name, asked)
        for name, field in (("source", Field.SOURCE), ("destination", Field.DESTINATION))
        if name in asked
    }
    left = [family for family in Family if family in families and all(end[family] for end in ends.values())]
    if not left:
        raise ValueError(f"the family and the addresses have no family in common: {in_words(asked)}")
    for family in left:
        yield shared | {Field.FAMILY: family_set(family)} | {field: end[family] for field, end in ends.items()}


def _fields(asked: Constraints) -> Iterator[tuple[Field, IntervalSet]]:
    if paths := _each("path", asked, _path):
        yield Field.PATH, path_set(*paths)
    if protocols := _protocols(asked):
        yield Field.PROTOCOL, IntervalSet.of((number, number) for number in protocols)
    for name, field in (("source_port", Field.SOURCE_PORT), ("destination_port", Field.DESTINATION_PORT)):
        if ports := _each(name, asked, _port_range):
            yield field, IntervalSet.of(ports)
    if patterns := _each("interface", asked, _pattern):
        named = Interfaces.of(pattern for pattern in patterns if pattern)
        unnamed = IntervalSet.single(0) if "" in patterns else IntervalSet()
        yield Field.INTERFACE, unnamed | interface_set(named)


def _protocols(asked: Constraints) -> list[int]:
    named = _each("protocol", asked, _protocol)
    if "source_port" not in asked and "destination_port" not in asked:
        return named
    for number in named:
        if number not in PROTOCOLS_WITH_PORTS:
            raise ValueError(f"{protocol_name(number)} has no ports: {in_words(asked)}")
    return named or sorted(PROTOCOLS_WITH_PORTS)


def _each(name: str, asked: Constraints, read: Callable[[Any], Value]) -> list[Value]:
    """An argument's values; nothing if it was not given.

    Raises:
        ValueError: one of them is none, or there are none.
    """
    if name not in asked:
        return []
    given: Any = asked[name]  # type: ignore[literal-required]
    is_one = isinstance(given, str) or not isinstance(given, Iterable) or isinstance(given, IPv4Network | IPv6Network)
    several = [given] if is_one else list(given)
    values = [value for one in several for value in (one if isinstance(one, range) else [one])]
    if not values:
        raise ValueError(f"{name} is empty, and no packet is in that; leave it out for any")
    try:
        return [read(value) for value in values]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: {error}") from None


def _path(value: Path | str) -> Path:
    try:
        return Path(value)
    except ValueError:
        raise ValueError(f"`{value}` is not a path: in, forward or out") from None


def _family(value: Family | str) -> Family:
    try:
        return Family(value)
    except ValueError:
        raise ValueError(f"`{value}` is not a family: ipv4 or ipv6") from None


def _protocol(value: int | str) -> int:
    number = protocol_number(str(value))
    if number is None:
        raise ValueError(f"`{value}` is not a protocol: a name such as udp, or a number up to 255")
    return number


def _pattern(value: str) -> str:
    if value and not is_interface_pattern(value):
        raise ValueError(f"`{value}` cannot name an interface")
    return value


def _port_range(value: int | str) -> Interval:
    first, dash, last = str(value).partition("-")
    ends = [first, last] if dash else [first, first]
    if not all(_PORT.fullmatch(end) and int(end) <= 65535 for end in ends):
        raise ValueError(f"`{value}` is not a port from 0 to 65535, or FIRST-LAST")
    if int(ends[0]) > int(ends[1]):
        raise ValueError(f"`{value}` ends before it begins")
    return int(ends[0]), int(ends[1])


def _addresses(name: str, asked: Constraints) -> dict[Family, IntervalSet]:
    found = _each(name, asked, _address_range)
    return {family: IntervalSet.of(interval for one, interval in found if one is family) for family in Family}


def _address_range(value: AnyAddress) -> tuple[Family, Interval]:
    text = str(value)
    try:
        if "%" in text:
            raise ValueError("a packet has no zone")
        first, dash, last = text.partition("-")
        if dash:
            ends = ip_address(first.strip()), ip_address(last.strip())
        else:
            network = ip_network(text)
            ends = network.network_address, network.broadcast_address
    except ValueError as error:
        raise ValueError(f"`{text}` is not an address, a prefix or a range: {error}") from None
    if ends[0].version != ends[1].version:
        raise ValueError(f"`{text}` begins in one family and ends in the other")
    if int(ends[0]) > int(ends[1]):
        raise ValueError(f"`{text}` ends before it begins")
    return Family.IPV4 if ends[0].version == 4 else Family.IPV6, (int(ends[0]), int(ends[1]))
