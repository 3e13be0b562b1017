"""The value of `overlay`: a preset, a preset on another port, or a protocol and its port."""

from __future__ import annotations

from ctpolicy.language.diagnostics import nearest
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.nodes import Mapping, Node, Scalar
from ctpolicy.language.policy import ProtocolPorts
from ctpolicy.language.ports import HIGHEST, looks_like_ports, parse_protocol
from ctpolicy.language.presets import PRESETS
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, protocol_name
from ctpolicy.packetspace.intervals import IntervalSet


def tunnel(node: Node, mistakes: Mistakes) -> ProtocolPorts | None:
    """The protocol and port of an overlay's packets; None if there is a mistake, which has been told."""
    if isinstance(node, Scalar):
        return _preset(node, mistakes) if isinstance(node.value, str) else None
    if not isinstance(node, Mapping):
        return None
    preset, protocol, port = (node.get(key) for key in ("preset", "protocol", "port"))
    if preset is not None and protocol is not None:
        mistakes.tell(node.key("protocol"), "a preset has its protocol", "`preset` or `protocol`, not both")
    elif isinstance(preset, Scalar) and isinstance(preset.value, str):
        return _on_port(node, _preset(preset, mistakes), port, mistakes)
    elif isinstance(protocol, Scalar):
        number = mistakes.parsed(protocol, parse_protocol)
        return _on_port(node, None if number is None else ProtocolPorts(number), port, mistakes)
    elif preset is None and protocol is None and node.pairs.keys() <= {"port"}:  # else a key is misspelt, and told
        mistakes.tell(
            node, "this overlay is neither a preset nor a protocol", "{preset: vxlan, port: 4788} or the like"
        )
    return None


def _preset(node: Scalar, mistakes: Mistakes) -> ProtocolPorts | None:
    text = str(node.value)
    if text in PRESETS:
        return PRESETS[text]
    if looks_like_ports(text):
        expected = "a preset, or {protocol: udp, port: 4789}"
        mistakes.tell(node, f"`{text}` is not a preset", expected)
    else:
        mistakes.tell(node, f"`{text}` is not a preset", "one of " + ", ".join(PRESETS), nearest(text, PRESETS))
    return None


def _on_port(node: Mapping, base: ProtocolPorts | None, port: Node | None, mistakes: Mistakes) -> ProtocolPorts | None:
    """The same on another port, if one is given; a protocol that has ports must have one."""
    if base is None:
        return None
    name, has_ports = protocol_name(base.protocol), base.protocol in PROTOCOLS_WITH_PORTS
    if port is None:
        if has_ports and node.get("preset") is None:
            mistakes.tell(node, f"this overlay has no port, and {name} has ports", f"{{protocol: {name}, port: 4789}}")
            return None
        return base
    if not has_ports:
        mistakes.tell(node.key("port"), f"{name} has no ports", "`port` left out")
        return None
    if not isinstance(port, Scalar) or not isinstance(port.value, int) or isinstance(port.value, bool):
        return None
    if not 0 <= port.value <= HIGHEST:
        mistakes.tell(port, f"port {port.value} is {'above 65535' if port.value > 0 else 'below 0'}")
        return None
    return ProtocolPorts(base.protocol, IntervalSet.single(port.value))
