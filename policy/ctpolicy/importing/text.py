"""Entries as the YAML that people go on with. It is written line by line, for comments and for one look."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ctpolicy.importing.naming import preset_of
from ctpolicy.language.policy import (
    ANY_PORT,
    EVERY_PATH,
    Addresses,
    Entry,
    Forward,
    HostClient,
    HostService,
    Match,
    Overlay,
    Ports,
    ProtocolPorts,
)
from ctpolicy.packetspace.fields import PROTOCOL_NAMES, PROTOCOLS_WITH_PORTS, Family, Path, protocol_name
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import Interval, IntervalSet, prefix_length
from ctpolicy.packetspace.packet import address_text

LONGEST_INLINE: Final = 4
"""Addresses that stand in an entry itself; a longer list is a group, which has one address a line."""


def policy_text(name: str, bypass: Sequence[Entry], track: Sequence[Entry], remarks: Iterable[str]) -> str:
    """A policy in YAML.

    Args:
        name: of the policy.
        bypass: its entries, named.
        track: likewise.
        remarks: comments for its head, one a line.
    """
    groups = _Groups()
    sections = [
        line for key, entries in (("bypass", bypass), ("track", track)) for line in _section(key, entries, groups)
    ]
    head = ["# yaml-language-server: $schema=policy-v1.schema.json", "#", *(f"# {line}".rstrip() for line in remarks)]
    head += ["apiVersion: ctpolicy/v1", f"name: {name}"]
    return "\n".join([*head, *groups.lines(), *sections, ""])


def entry_lines(entry: Entry) -> Iterator[str]:
    """One named entry with few addresses, as it may stand under `bypass:`."""
    groups = _Groups()
    yield from list(_section("bypass", [entry], groups))[2:]
    assert not groups.names, "an entry that stands alone has no group"


@dataclass(slots=True)
class _Groups:
    """The address lists that are too long to stand in an entry, by name."""

    names: dict[tuple[str, ...], str] = field(default_factory=dict)

    def name(self, addresses: Sequence[str]) -> str:
        """The name of the group that holds these, the same for the same list."""
        return self.names.setdefault(tuple(addresses), f"addresses-{len(self.names) + 1}")

    def lines(self) -> Iterator[str]:
        if self.names:
            yield from ("", "groups:")
        for addresses, name in self.names.items():
            yield f"  {name}:"
            yield from (f"    - {address}" for address in addresses)


def _section(key: str, entries: Sequence[Entry], groups: _Groups) -> Iterator[str]:
    if entries:
        yield from ("", f"{key}:")
    for entry in entries:
        yield f"  - name: {entry.name}"
        for line in _lines(entry, groups):
            yield f"    {line}"


def _lines(entry: Entry, groups: _Groups) -> Iterator[str]:
    match entry:
        case Overlay():
            yield f"overlay: {_tunnel(entry.tunnel)}"
            yield from _ends(groups, entry.families, peers=entry.peers)
            if entry.paths != frozenset({Path.IN, Path.OUT}):
                yield _paths(entry.paths)
            yield from _interfaces(entry.interfaces)
        case HostService() | HostClient():
            kind = "host-service" if isinstance(entry, HostService) else "host-client"
            yield f"{kind}: {_list(map(_service, _each(entry.services)))}"
            yield from _ends(groups, entry.families, peers=entry.peers, local=entry.local)
            yield from _interfaces(entry.interfaces)
        case Forward():
            yield f"forward: {_list(map(_service, _each(entry.services)))}"
            yield from _ends(groups, entry.families, clients=entry.clients, servers=entry.servers)
        case Ports():
            yield f"ports: {_list(map(_service, _each(entry.services)))}"
            if entry.paths != EVERY_PATH:
                yield _paths(entry.paths)
            yield from _interfaces(entry.interfaces)
        case Match():
            yield from _match(entry, groups)
    yield from _families(entry)
    if entry.acknowledge is not None:
        yield f"acknowledge: {json.dumps(entry.acknowledge)}"


def _match(entry: Match, groups: _Groups) -> Iterator[str]:
    keys = list(_match_keys(entry, groups))
    yield "match:" if keys else "match: {}"
    yield from (f"  {key}" for key in keys)


def _match_keys(entry: Match, groups: _Groups) -> Iterator[str]:
    if entry.paths != EVERY_PATH:
        yield _paths(entry.paths)
    boxes = entry.boxes
    protocol = boxes[0].protocol
    if protocol is not None and all(box.source_ports == box.destination_ports == ANY_PORT for box in boxes):
        yield f"protocol: {_protocol(protocol)}"
    for key, side in (("source-ports", "source_ports"), ("destination-ports", "destination_ports")):
        services = [ProtocolPorts(box.protocol, getattr(box, side)) for box in boxes if box.protocol is not None]
        if any(service.ports != ANY_PORT for service in services):
            yield f"{key}: {_list(map(_service, _each(services)))}"
    yield from _ends(groups, entry.families, source=entry.source, destination=entry.destination)
    yield from _interfaces(entry.interfaces)
    if entry.both_ways:
        yield "both-ways: true"


def _tunnel(tunnel: ProtocolPorts) -> str:
    preset = preset_of(tunnel)
    if preset is not None:
        return preset
    port = f", port: {tunnel.ports.intervals[0][0]}" if tunnel.protocol in PROTOCOLS_WITH_PORTS else ""
    return f"{{protocol: {_protocol(tunnel.protocol)}{port}}}"


def _protocol(number: int) -> str:
    return PROTOCOL_NAMES.get(number, f'"{number}"')


def _each(services: Iterable[ProtocolPorts]) -> Iterator[ProtocolPorts]:
    """Each interval of ports for itself."""
    for service in services:
        for interval in service.ports:
            yield ProtocolPorts(service.protocol, IntervalSet((interval,)))


def _service(service: ProtocolPorts) -> str:
    if service.protocol not in PROTOCOLS_WITH_PORTS:
        return protocol_name(service.protocol)
    first, last = service.ports.intervals[0]
    return f"{protocol_name(service.protocol)}/{first}" + (f"-{last}" if last > first else "")


def _ends(groups: _Groups, families: frozenset[Family], **ends: Addresses) -> Iterator[str]:
    """The keys for addresses, without those that may be anything."""
    for key, addresses in ends.items():
        if not _is_any(addresses, families):
            texts = [_address(interval, family) for family in Family for interval in addresses.of(family)]
            yield f"{key}: {groups.name(texts) if len(texts) > LONGEST_INLINE else _list(texts)}"


def _is_any(addresses: Addresses, families: frozenset[Family]) -> bool:
    return all(addresses.of(family) == IntervalSet.full(family.bits) for family in families)


def _families(entry: Entry) -> Iterator[str]:
    """The family of an entry whose addresses do not tell it."""
    ends = [getattr(entry, key) for key in entry.__slots__ if isinstance(getattr(entry, key), Addresses)]
    if len(entry.families) == 1 and all(_is_any(addresses, entry.families) for addresses in ends):
        (family,) = entry.families
        yield f"families: [{family.value}]"


def _address(interval: Interval, family: Family) -> str:
    kind = IPv4Address if family is Family.IPV4 else IPv6Address
    length = prefix_length(interval, family.bits)
    first = address_text(kind(interval[0]))
    if length is None:
        text = f"{first}-{address_text(kind(interval[1]))}"
    else:
        text = first if length == family.bits else f"{first}/{length}"
    return json.dumps(text) if ":" in text else text


def _paths(paths: frozenset[Path]) -> str:
    return f"paths: [{', '.join(path.value for path in Path if path in paths)}]"


def _interfaces(interfaces: Interfaces) -> Iterator[str]:
    if interfaces.patterns is not None:
        yield f"interfaces: [{', '.join(map(json.dumps, interfaces.patterns))}]"


def _list(texts: Iterable[str]) -> str:
    """One value as it is, several as a list."""
    several = list(texts)
    return several[0] if len(several) == 1 else f"[{', '.join(several)}]"
