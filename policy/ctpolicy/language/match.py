"""The value of `match`: one box of packets, spelled out."""

from __future__ import annotations

from typing import Any, Final

from ctpolicy.language import ports as port_forms
from ctpolicy.language.diagnostics import Related
from ctpolicy.language.groups import GroupKind
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.nodes import Mapping, Node, Scalar, Sequence, scalars
from ctpolicy.language.policy import ANY_PORT, ProtocolBox, ProtocolPorts
from ctpolicy.language.values import Values
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Path, protocol_name
from ctpolicy.packetspace.intervals import IntervalSet

PORT_KEYS: Final = ("source-ports", "destination-ports")
KEYS: Final = frozenset({"paths", "protocol", "source", "destination", *PORT_KEYS, "interfaces", "both-ways"})

_PortsOf = dict[int, IntervalSet]


def match_fields(node: Mapping, values: Values) -> dict[str, Any] | None:
    """The fields of a `Match` other than those that every entry has; None if there is a mistake, which was told."""
    boxes = _boxes(node, values)
    fields: dict[str, Any] = {"boxes": boxes}
    for key in ("source", "destination"):
        if (value := node.get(key)) is not None:
            fields[key] = values.addresses(value)
    if (value := node.get("interfaces")) is not None:
        fields["interfaces"] = values.interfaces(value)
    if (value := node.get("paths")) is not None:
        fields["paths"] = values.members(value, Path)
    if isinstance(value := node.get("both-ways"), Scalar):
        fields["both_ways"] = value.value
    if None in fields.values() or node.is_torn or not node.pairs.keys() <= KEYS:
        return None  # what an unknown key was to narrow is not known, so nothing is said of what is left
    return fields


def _boxes(node: Mapping, values: Values) -> tuple[ProtocolBox, ...] | None:
    protocol: int | None = None
    if (given := node.get("protocol")) is not None:
        if not isinstance(given, Scalar):
            return None
        protocol = values.mistakes.parsed(given, port_forms.parse_protocol)
        if protocol is None:
            return None
        if protocol not in PROTOCOLS_WITH_PORTS:
            return _without_ports(node, protocol, values.mistakes)
    sides = {key: _side(value, protocol, values) for key in PORT_KEYS if (value := node.get(key)) is not None}
    if None in sides.values():
        return None
    known = {key: side for key, side in sides.items() if side is not None}
    if not known:
        return (ProtocolBox(protocol),)
    return _agreed(node, known, values.mistakes)


def _without_ports(node: Mapping, protocol: int, mistakes: Mistakes) -> tuple[ProtocolBox, ...] | None:
    told = False
    for key in PORT_KEYS:
        if key in node.pairs:
            mistakes.tell(node.key(key), f"{protocol_name(protocol)} has no ports", f"`{key}` left out")
            told = True
    return None if told else (ProtocolBox(protocol),)


def _agreed(node: Mapping, sides: dict[str, _PortsOf], mistakes: Mistakes) -> tuple[ProtocolBox, ...] | None:
    """A box for each protocol. What one end says about protocols, the other must say too."""
    source, destination = (sides.get(key) for key in PORT_KEYS)
    protocols = sorted(set(source or ()) | set(destination or ()))
    if source is not None and destination is not None and set(source) != set(destination):
        for key, other in zip(PORT_KEYS, reversed(PORT_KEYS), strict=True):
            missing = ", ".join(protocol_name(p) for p in protocols if p not in sides[key])
            if missing:
                also = Related(node.key(other).place, f"{missing} is here")
                mistakes.tell(node.key(key), f"`{key}` has no ports of {missing}, and `{other}` has", also=also)
        return None
    return tuple(
        ProtocolBox(p, source[p] if source else ANY_PORT, destination[p] if destination else ANY_PORT)
        for p in protocols
    )


def _side(node: Node, protocol: int | None, values: Values) -> _PortsOf | None:
    """The ports at one end, by protocol."""
    if isinstance(node, Sequence) and not node.items:
        values.mistakes.tell(node, "this list of ports is empty", "the key left out, for any port")
        return None
    found = [_ports(item, protocol, values) for item in scalars(node)]
    if not found or None in found:
        return None
    merged = port_forms.merged(ports for several in found for ports in several or ())
    return {ports.protocol: ports.ports for ports in merged}


def _ports(item: Scalar, protocol: int | None, values: Values) -> tuple[ProtocolPorts, ...] | None:
    text = str(item.value)
    if item.value is None or isinstance(item.value, bool):
        return None
    if protocol is not None and text[:1].isdigit() and "/" not in text:
        interval = values.mistakes.parsed(item, port_forms.parse_port_range)
        return (ProtocolPorts(protocol, IntervalSet((interval,))),) if interval else None
    if text[:1].isdigit() and "/" not in text:
        expected = f"udp/{text} or the like, or `protocol` beside it"
        values.mistakes.tell(item, f"`{text}` is a port without its protocol", expected)
        return None
    found: tuple[ProtocolPorts, ...] | None
    if port_forms.looks_like_ports(text):
        parsed = values.mistakes.parsed(item, port_forms.parse_ports)
        found = (parsed,) if parsed else None
    else:
        group = values.groups.find(text, GroupKind.PORTS, item, values.mistakes, port_forms.EXPECTED)
        found = group.ports if group else None
    return found if found and _fits(item, found, protocol, values.mistakes) else None


def _fits(item: Scalar, found: tuple[ProtocolPorts, ...], protocol: int | None, mistakes: Mistakes) -> bool:
    """Whether these can be the ports at one end of a packet of this protocol, or of any."""
    for ports in found:
        name = protocol_name(ports.protocol)
        if ports.protocol not in PROTOCOLS_WITH_PORTS:
            mistakes.tell(item, f"{name} has no ports", f"`protocol: {name}`, and no ports")
            return False
        if protocol not in {None, ports.protocol}:
            assert protocol is not None
            message = f"these are ports of {name}, but `protocol` says {protocol_name(protocol)}"
            mistakes.tell(item, message, "ports of one protocol, or `protocol` left out")
            return False
    return True
