"""Ports as people write them: `tcp/9100`, `udp/20000-20999`, or a protocol alone where it has no ports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ctpolicy.language.diagnostics import nearest
from ctpolicy.language.mistakes import ValueMistake
from ctpolicy.language.policy import ANY_PORT, ProtocolPorts
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, protocol_name, protocol_number
from ctpolicy.packetspace.intervals import Interval, IntervalSet

EXPECTED: Final = "PROTOCOL/PORT or PROTOCOL/FIRST-LAST, such as tcp/9100 or udp/20000-20999"
EXPECTED_PORT: Final = "a port from 0 to 65535, or FIRST-LAST"

HIGHEST: Final = 65535

_DIGITS: Final = re.compile(r"[0-9]+")
_SWAPPED: Final = re.compile(r"([0-9]+(?:-[0-9]+)?)/([a-z]+)")
_OTHER_MARK: Final = re.compile(r"([a-z]+)[:. ]([0-9]+(?:-[0-9]+)?)")


def looks_like_ports(text: str) -> bool:
    """Whether text was meant as ports or a protocol, not as a name."""
    return "/" in text or protocol_number(text) is not None or _OTHER_MARK.fullmatch(text) is not None


def parse_protocol(text: str) -> int:
    """An IP protocol's number, from its name or the number itself.

    Raises:
        ValueMistake: it is neither.
    """
    number = protocol_number(text)
    if number is not None:
        return number
    if text.isascii() and text.isdigit():
        raise ValueMistake(f"protocol {text} is above 255" if text[0] != "0" else f"`{text}` has leading zeros")
    lower = text.lower()
    suggestion = lower if lower in PROTOCOL_NUMBERS else nearest(lower, PROTOCOL_NUMBERS)
    raise ValueMistake(
        f"`{text}` is not a protocol", "a name such as tcp, udp or gre, or a number up to 255", suggestion
    )


def parse_ports(text: str) -> ProtocolPorts:
    """A protocol with ports of it, or a protocol without any.

    Raises:
        ValueMistake: it is neither, or gives ports where there are none, or none where there are.
    """
    _check_form(text)
    name, slash, ports = text.partition("/")
    try:
        protocol = parse_protocol(name)
    except ValueMistake as mistake:
        mistake.length = len(name)
        raise
    if not slash:
        if protocol in PROTOCOLS_WITH_PORTS:
            raise ValueMistake(
                f"{protocol_name(protocol)} has ports, and none is given", f"{EXPECTED}; {name}/0-65535 for every port"
            )
        return ProtocolPorts(protocol)
    if protocol not in PROTOCOLS_WITH_PORTS:
        raise ValueMistake(f"{protocol_name(protocol)} has no ports", "the protocol alone", name, len(name))
    return ProtocolPorts(protocol, IntervalSet((parse_port_range(ports, len(name) + 1),)))


def parse_port_range(text: str, offset: int = 0) -> Interval:
    """First and last port of `53` or `1000-2000`, which stands at an offset of the value.

    Raises:
        ValueMistake: it is not that, or above 65535, or reversed.
    """
    left, dash, right = text.partition("-")
    first = _port(left, offset)
    last = _port(right, offset + len(left) + 1) if dash else first
    if first > last:
        raise ValueMistake("this range is reversed", "the lower port first", f"{last}-{first}", offset)
    return first, last


def merged(found: Iterable[ProtocolPorts]) -> tuple[ProtocolPorts, ...]:
    """The same ports with each protocol once, sorted by protocol."""
    ports: dict[int, list[Interval]] = {}
    for item in found:
        ports.setdefault(item.protocol, []).extend(item.ports)
    return tuple(
        ProtocolPorts(protocol, IntervalSet.of(ports[protocol]) if protocol in PROTOCOLS_WITH_PORTS else ANY_PORT)
        for protocol in sorted(ports)
    )


def _port(text: str, offset: int) -> int:
    if not _DIGITS.fullmatch(text):
        message = f"`{text}` is not a port" if text else "a port is missing"
        raise ValueMistake(message, EXPECTED_PORT, offset=offset, length=len(text))
    if len(text) > 1 and text[0] == "0":
        raise ValueMistake(
            f"port `{text}` has leading zeros", EXPECTED_PORT, text.lstrip("0") or "0", offset, len(text)
        )
    if len(text) > len(str(HIGHEST)) or int(text) > HIGHEST:
        raise ValueMistake(f"port {text} is above {HIGHEST}", EXPECTED_PORT, offset=offset, length=len(text))
    return int(text)


def _check_form(text: str) -> None:
    """Catch the ways in which other tools write ports."""
    if found := _SWAPPED.fullmatch(text):
        if found[2] in PROTOCOL_NUMBERS:
            raise ValueMistake("the protocol comes first", EXPECTED, f"{found[2]}/{found[1]}")
    elif found := _OTHER_MARK.fullmatch(text):
        if found[1] in PROTOCOL_NUMBERS:
            raise ValueMistake("a `/` stands between protocol and port", EXPECTED, f"{found[1]}/{found[2]}")
    elif _DIGITS.fullmatch(text) and len(text) <= 5 and int(text) <= HIGHEST:
        # Up to 255 it could be an IP protocol too, which nobody means who writes `ports: 53`; `match` takes those.
        raise ValueMistake(f"`{text}` is a port without its protocol", EXPECTED, f"tcp/{text}")
    if "," in text:
        protocol = text.partition("/")[0]
        parts = [part.strip() for part in text.split(",")]
        several = ", ".join(part if "/" in part else f"{protocol}/{part}" for part in parts)
        raise ValueMistake("several ports are written as a list", f"[{several}]"[:80])
