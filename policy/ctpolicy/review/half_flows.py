"""Packets that rules leave untracked while the packets that answer them are tracked.

Conntrack then sees one side of a conversation alone: its entries stay UNREPLIED or are the wrong way round, and the
answer to an untracked SYN is invalid, which most firewalls drop.

Only what is certain is told. An answer may come and go by another interface than the packet, so it must be tracked
by all of them. What leaves this host for an address of its own goes by `lo`, and rules do not say which addresses
those are: a packet to the wire is answered from the wire or, if its destination is here after all, on `lo`, and it is
half a flow only if both answers are tracked. Tunnels that overlays are known by are not answered port for port (their
source port is entropy): what answers them has the same destination port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from ctpolicy.language.presets import PRESETS
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set

MOST_BOXES: Final = 100_000
"""What is exchanged at once, box by box: a second or two."""

_LOOPBACK: Final = IntervalSet.single(interface_value(LOOPBACK))
_WIRE: Final = _LOOPBACK.complement(INTERFACE_BITS)
_ADDRESSES: Final = {Field.SOURCE: Field.DESTINATION, Field.DESTINATION: Field.SOURCE}
_ENDS: Final = {**_ADDRESSES, Field.SOURCE_PORT: Field.DESTINATION_PORT, Field.DESTINATION_PORT: Field.SOURCE_PORT}


def _on(path: Path, interfaces: IntervalSet) -> Box:
    return {Field.PATH: path_set(path), Field.INTERFACE: interfaces}


_WAYS: Final = (
    (_on(Path.IN, _WIRE), _on(Path.OUT, _WIRE)),
    (_on(Path.FORWARD, _WIRE), _on(Path.FORWARD, _WIRE)),
    (_on(Path.OUT, _WIRE), _on(Path.IN, _WIRE)),
    (_on(Path.OUT, _LOOPBACK), _on(Path.OUT, IntervalSet.full(INTERFACE_BITS))),
)
"""Where answers are met, and where the packets that they answer are."""


def _to_many() -> Iterator[Box]:
    """Packets from or to addresses of many hosts, which nobody answers by."""
    for network in map(ip_network, ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")):
        family = Family.IPV4 if network.version == 4 else Family.IPV6
        addresses = IntervalSet(((int(network.network_address), int(network.broadcast_address)),))
        for end in _ADDRESSES:
            yield {Field.FAMILY: family_set(family), end: addresses}


@dataclass(frozen=True, slots=True)
class HalfFlows:
    """Untracked packets whose answers are certainly tracked: those of the wire, and those that stay on this host."""

    wire: PacketSpace
    loopback: PacketSpace


def half_flows(untracked: PacketSpace, host: Treatment) -> HalfFlows:
    """Those of some untracked packets whose answers the rules of the host track.

    Args:
        untracked: packets that the host certainly leaves untracked.
        host: what all of its rules do.

    Raises:
        TooLargeError: too many different packets; see packetspace.space.bounded.
    """
    untracked -= PacketSpace.of_boxes(_to_many())
    if not untracked:
        return HalfFlows(untracked, untracked)
    else_than_tracked = ~host.tracked
    answers = else_than_tracked & PacketSpace.of_boxes([_exchanged(_hull(untracked), _ENDS)])
    tunnels = else_than_tracked & PacketSpace.of_boxes(_tunnels())
    whole = PacketSpace.of_boxes([*_answered(answers, _ENDS), *_answered(tunnels, _ADDRESSES)])
    half = untracked - whole
    on_loopback = PacketSpace.of_boxes([_on(Path.OUT, _LOOPBACK)])
    return HalfFlows(half - on_loopback, half & on_loopback)


def _hull(space: PacketSpace) -> Box:
    """One box that holds a set, for leaving out at once what cannot answer it."""
    fields = (Field.PROTOCOL, *_ENDS)
    return {field: space.values(field) for field in fields}


def _tunnels() -> Iterator[Box]:
    for tunnel in PRESETS.values():
        yield {Field.PROTOCOL: IntervalSet.single(tunnel.protocol), Field.DESTINATION_PORT: tunnel.ports}


def _answered(answers: PacketSpace, exchanged: Mapping[Field, Field]) -> Iterator[Box]:
    """The packets that some packets answer, by whichever interface either comes."""
    for answering, packet in _WAYS:
        for box in (answers & PacketSpace.of_boxes([answering])).partition(MOST_BOXES):
            yield {**_exchanged(box, exchanged), **packet}


def _exchanged(box: Box, fields: Mapping[Field, Field]) -> Box:
    """A box with its ends exchanged."""
    return {fields.get(field, field): values for field, values in box.items()}
