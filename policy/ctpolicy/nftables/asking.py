"""The fields of a box that a map can be asked about, and how nft spells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ctpolicy.language.policy import BOTH_FAMILIES
from ctpolicy.netfilter.boxes import Box
from ctpolicy.nftables.names import protocol_word
from ctpolicy.nftables.ruleset import Payload
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet

ADDRESS_PROTOCOLS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a box.

    Args:
        name: for chains and maps that are about it.
        values: what a box wants of it; None if it does not ask.
        selector: how nft spells it for such a box.
        without: the box, once the field has been asked.
    """

    name: str
    values: Callable[[Box], IntervalSet | None]
    selector: Callable[[Box], Payload]
    without: Callable[[Box], Box]


def address_selector(box: Box, field: str) -> Payload:
    """`ip saddr` or `ip6 saddr` (or `daddr`), for a box with addresses, which is of one family."""
    (family,) = box.families
    return Payload(ADDRESS_PROTOCOLS[family], field)


def port_selector(box: Box, field: str) -> Payload:
    """`udp sport` and its like, for a box with ports, which is of one protocol."""
    assert box.protocol is not None, f"{box.entry}: ports without a protocol"
    return Payload(protocol_word(box.protocol), field)


def map_suffix(selector: Payload) -> str:
    """What a map is asked about, as the end of its name: `dport`, `saddr_v4`."""
    versions = {"ip": "_v4", "ip6": "_v6"}
    return selector.field + versions.get(selector.protocol, "")


SOURCE: Final = Field(
    "saddr",
    lambda box: box.source,
    lambda box: address_selector(box, "saddr"),
    # Whoever has found an address of one family knows the family.
    lambda box: box._replace(source=None, families=BOTH_FAMILIES if box.destination is None else box.families),
)
DESTINATION: Final = Field(
    "daddr",
    lambda box: box.destination,
    lambda box: address_selector(box, "daddr"),
    lambda box: box._replace(destination=None, families=BOTH_FAMILIES if box.source is None else box.families),
)
SOURCE_PORT: Final = Field(
    "sport",
    lambda box: box.source_ports,
    lambda box: port_selector(box, "sport"),
    lambda box: box._replace(source_ports=None),
)
DESTINATION_PORT: Final = Field(
    "dport",
    lambda box: box.destination_ports,
    lambda box: port_selector(box, "dport"),
    lambda box: box._replace(destination_ports=None),
)
FIELDS: Final = (SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT)
