"""Names for imported entries, from what they are about: `vxlan`, `udp-4789`, `clients-udp-53`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ctpolicy.language.names import LONGEST
from ctpolicy.language.policy import ANY_PORT, Entry, Forward, HostClient, Match, Overlay, ProtocolPorts
from ctpolicy.language.presets import PRESETS
from ctpolicy.packetspace.fields import PROTOCOL_NAMES


def named(entries: Iterable[Entry], beginning: str, taken: set[str]) -> list[Entry]:
    """The entries with names of their own, which are added to those that are taken."""
    found = []
    for entry in entries:
        name = _free(f"{beginning}{_about(entry)}"[:LONGEST].rstrip("-"), taken)
        taken.add(name)
        found.append(replace(entry, name=name))
    return found


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST - len(str(number)) - 1].rstrip('-')}-{number}"
    return free


def preset_of(tunnel: ProtocolPorts) -> str | None:
    """The overlay that is known by this protocol and port."""
    return next((name for name, preset in PRESETS.items() if preset == tunnel), None)


def _about(entry: Entry) -> str:
    match entry:
        case Overlay():
            return preset_of(entry.tunnel) or _service(entry.tunnel)
        case Match():
            box = entry.boxes[0]
            if box.protocol is None:
                return "any-protocol"
            ports = box.destination_ports if box.destination_ports != ANY_PORT else box.source_ports
            side = "from-" if box.destination_ports == ANY_PORT != box.source_ports else ""
            return side + _service(ProtocolPorts(box.protocol, ports))
        case HostClient():
            return f"clients-{_service(entry.services[0])}"
        case Forward():
            return f"forward-{_service(entry.services[0])}"
    return _service(entry.services[0])


def _service(service: ProtocolPorts) -> str:
    name = PROTOCOL_NAMES.get(service.protocol, f"protocol-{service.protocol}")
    if service.ports == ANY_PORT:
        return name
    first, last = service.ports.intervals[0]
    return f"{name}-{first}" if first == last else f"{name}-{first}-{last}"
