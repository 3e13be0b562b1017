"""Packets that rules leave untracked while the packets that answer them are tracked.

Conntrack then sees one side of a conversation alone: its entries stay UNREPLIED or are the wrong way round, and the
answer to an untracked SYN is invalid, which most firewalls drop.

Only what is certain is told. An answer may come and go by another interface than the packet, so it must be tracked
by all of them. Tunnels that overlays are known by are not answered port for port (their source port is entropy): what
answers them has the same destination port.

Rules do not say which addresses are this host's own. What it sends to one of those goes by `lo`, whatever a rule in
output means by the address. So where the same table bypasses the same packets coming in as well (their destination is
a service here) and the answer on `lo` is bypassed too, the flow counts as whole. A rule in prerouting that means a
service here holds what is passed on to others' services, too: whether that happens is not in the rules, and so it is
told apart.

The search is for answers. Exchanging the ends of a set is dear, box by box, so it is done to what one table bypasses,
and never to what the whole host does, which may be a policy of 10,000 entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_network
from typing import Final

from ctpolicy.language.presets import PRESETS
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.fields import LOOPBACK, Family, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, packet_values, path_set

MOST_BOXES: Final = 100_000
"""What is exchanged at once, box by box: a second or two."""

_LOOPBACK: Final = IntervalSet.single(interface_value(LOOPBACK))
_WIRE: Final = _LOOPBACK.complement(INTERFACE_BITS)

_OF_MANY: Final = ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
"""Addresses of many hosts, which nobody answers by."""
_OF_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
"""Addresses that no packet of the wire may have."""

_Exchange = Mapping[Field, Field]
_PORTS: Final = {Field.SOURCE_PORT: Field.DESTINATION_PORT, Field.DESTINATION_PORT: Field.SOURCE_PORT}
_ENDS: Final = {Field.SOURCE: Field.DESTINATION, Field.DESTINATION: Field.SOURCE, **_PORTS}


def _on(path: Path, interfaces: IntervalSet) -> Box:
    return {Field.PATH: path_set(path), Field.INTERFACE: interfaces}


_IN: Final = _on(Path.IN, _WIRE)
_OUT: Final = _on(Path.OUT, _WIRE)
_FORWARD: Final = _on(Path.FORWARD, _WIRE)
_WITHIN: Final = _on(Path.OUT, _LOOPBACK)


class Way(Enum):
    """How a packet and its answer go."""

    IN = "in"
    OUT = "out"
    FORWARDED = "forwarded"
    LOOPBACK = "loopback"


_WAYS: Final = {
    Way.IN: (_IN, _OUT),
    Way.OUT: (_OUT, _IN),
    Way.FORWARDED: (_FORWARD, _FORWARD),
    Way.LOOPBACK: (_WITHIN, _WITHIN),
}
"""Where packets are, and where their answers are."""


@dataclass(frozen=True, slots=True)
class HalfFlow:
    """An untracked packet, and what answers it and is tracked."""

    packet: Packet
    answer: Packet


def half_flow(untracked: PacketSpace, spared: PacketSpace, way: Way) -> HalfFlow | None:
    """One of some untracked packets whose answer the host tracks, if there is one. Arguments as for `half_answers`."""
    answer = half_answers(untracked, spared, way).witness()
    if answer is None:
        return None
    ends = zip(Field, packet_values(answer), strict=True)
    alike = _exchanged({field: IntervalSet.single(value) for field, value in ends}, _ENDS)
    packet = (untracked & PacketSpace.of_boxes([{**alike, **_WAYS[way][0]}])).witness()
    return None if packet is None else HalfFlow(packet, answer)


def half_answers(untracked: PacketSpace, spared: PacketSpace, way: Way) -> PacketSpace:
    """What answers some untracked packets and is tracked, by whichever interface it comes.

    Args:
        untracked: packets that one table bypasses, and that the host certainly leaves untracked.
        spared: packets that the host's rules do not certainly leave to conntrack.
        way: of the packets.

    Raises:
        TooLargeError: too many different packets; see packetspace.space.bounded.
    """
    on, to = _WAYS[way]
    unanswered = _OF_MANY if way is Way.LOOPBACK else (*_OF_MANY, *_OF_LOOPBACK)
    packets = (untracked & PacketSpace.of_boxes([on])) - PacketSpace.of_boxes(_from_or_to(unanswered))
    if not packets:
        return packets
    asked = _answers(packets, to, _ENDS)
    tunnels = spared & PacketSpace.of_boxes({**tunnel, **to} for tunnel in _tunnels())
    half = asked - (spared & asked).moved(to) - _answers(tunnels, to, _PORTS)
    if way is Way.OUT and half:
        within = (spared & half.moved(_WITHIN)).moved(to)
        half -= within & _answers(untracked & PacketSpace.of_boxes([_IN]), to, _ENDS)
    return half


def _answers(packets: PacketSpace, to: Box, exchanged: _Exchange) -> PacketSpace:
    """Packets with their ends exchanged, on another way."""
    boxes = packets.branches(MOST_BOXES)
    if boxes is None:
        raise TooLargeError
    return PacketSpace.of_boxes({**_exchanged(box, exchanged), **to} for box in boxes)


def _exchanged(box: Box, fields: _Exchange) -> Box:
    return {fields.get(field, field): values for field, values in box.items()}


def _tunnels() -> Iterator[Box]:
    for tunnel in PRESETS.values():
        yield {Field.PROTOCOL: IntervalSet.single(tunnel.protocol), Field.DESTINATION_PORT: tunnel.ports}


def _from_or_to(networks: Iterable[str]) -> Iterator[Box]:
    for network in map(ip_network, networks):
        family = Family.IPV4 if network.version == 4 else Family.IPV6
        addresses = IntervalSet(((int(network.network_address), int(network.broadcast_address)),))
        for end in (Field.SOURCE, Field.DESTINATION):
            yield {Field.FAMILY: family_set(family), end: addresses}
