"""Traffic that may not be bypassed by accident: ssh, or what a policy's `protect` says.

An entry covers a protected port if it names that port where it constrains ports, or is of that protocol, or of any,
and constrains no port. So `host-service: tcp/22` covers tcp/22, and `match: {source: 10.0.0.1}` does too, but
`match: {protocol: tcp, destination-ports: 443}` does not, though it holds packets from port 22 to port 443.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.language.policy import (
    ANY_ADDRESS,
    ANY_PORT,
    Entry,
    Match,
    Overlay,
    ProtocolBox,
    ProtocolPorts,
)
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, PROTOCOLS_WITH_PORTS, protocol_name
from ctpolicy.packetspace.intervals import IntervalSet

DEFAULT: Final = (ProtocolPorts(PROTOCOL_NUMBERS["tcp"], IntervalSet.single(22)),)
"""ssh: what is protected where a policy does not say."""


def uncovered(entry: Entry, protect: tuple[ProtocolPorts, ...]) -> str:
    """What a bypass entry would do to protected traffic without acknowledging it; nothing if it does not."""
    if entry.acknowledge is not None:
        return ""
    if isinstance(entry, Match) and _is_everything(entry):
        return "bypasses everything"
    hit = [text for box in _boxes(entry) for guarded in protect if (text := _covered(box, guarded))]
    return f"bypasses {', '.join(dict.fromkeys(hit))}, which is protected" if hit else ""


def _is_everything(entry: Match) -> bool:
    """Whether a match constrains neither protocol, nor ports, nor addresses, nor interfaces."""
    unbounded = entry.source == entry.destination == ANY_ADDRESS and entry.interfaces.is_any
    return unbounded and ProtocolBox() in entry.boxes


def _boxes(entry: Entry) -> Iterator[ProtocolBox]:
    """What an entry says of protocol and ports, in one of its directions; the other is the same, turned around."""
    match entry:
        case Match():
            yield from entry.boxes
        case Overlay():
            yield ProtocolBox(entry.tunnel.protocol, destination_ports=entry.tunnel.ports)
        case _:
            for service in entry.services:
                yield ProtocolBox(service.protocol, destination_ports=service.ports)


def _covered(box: ProtocolBox, guarded: ProtocolPorts) -> str:
    """The part of guarded ports that a box covers, as text; nothing if it covers none."""
    if box.protocol not in {None, guarded.protocol}:
        return ""
    if guarded.protocol not in PROTOCOLS_WITH_PORTS:
        return protocol_name(guarded.protocol)
    named = [ports & guarded.ports for ports in (box.source_ports, box.destination_ports) if ports != ANY_PORT]
    parts = [ports for ports in named if ports] if named else [guarded.ports]
    return f"{protocol_name(guarded.protocol)}/{_first_ports(parts[0])}" if parts else ""


def _first_ports(ports: IntervalSet) -> str:
    first, last = ports.intervals[0]
    return str(first) if first == last else f"{first}-{last}"
