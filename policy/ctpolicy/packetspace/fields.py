"""The fields of a packet that a bypass can be decided on."""

from enum import Enum
from typing import Final


class Path(Enum):
    """How a packet meets this host."""

    IN = "in"
    """prerouting, and this host takes the destination: local, broadcast, anycast, multicast."""
    FORWARD = "forward"
    """prerouting, and the destination is somebody else's."""
    OUT = "out"
    """output: made on this host."""


class Family(Enum):
    """The network protocol's version, by its netfilter name."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def bits(self) -> int:
        """The width of an address."""
        return 32 if self is Family.IPV4 else 128


LOOPBACK: Final = "lo"
PORT_BITS: Final = 16

PROTOCOL_NUMBERS: Final[dict[str, int]] = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "sit": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ospf": 89,
    "pim": 103,
    "ipcomp": 108,
    "vrrp": 112,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}
"""IP protocols by the names that policies and packets use; any other is written as its number."""

PROTOCOL_NAMES: Final[dict[int, str]] = {number: name for name, number in PROTOCOL_NUMBERS.items()}

PROTOCOLS_WITH_PORTS: Final = frozenset(PROTOCOL_NUMBERS[name] for name in ("tcp", "udp", "dccp", "sctp", "udplite"))

IPV6_EXTENSION_HEADERS: Final = frozenset({0, 43, 44, 51, 60})
"""Numbers that are headers on the way to the transport protocol in IPv6, never the protocol itself
(the kernel's ipv6_find_hdr walks over them, the authentication header included)."""


def protocol_name(number: int) -> str:
    """The name of an IP protocol, or its number where it has none here."""
    return PROTOCOL_NAMES.get(number, str(number))


def protocol_number(text: str) -> int | None:
    """The number of an IP protocol given by name or decimal number, or None if it is neither."""
    if text.isascii() and text.isdigit() and (text == "0" or text[0] != "0") and int(text) <= 255:
        return int(text)
    return PROTOCOL_NUMBERS.get(text)
