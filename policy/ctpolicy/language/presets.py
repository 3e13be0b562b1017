"""Overlays by name: the protocol and the port that their tunnels use unless told otherwise."""

from typing import Final

from ctpolicy.language.policy import ProtocolPorts
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS
from ctpolicy.packetspace.intervals import IntervalSet


def _udp(port: int) -> ProtocolPorts:
    return ProtocolPorts(PROTOCOL_NUMBERS["udp"], IntervalSet.single(port))


PRESETS: Final[dict[str, ProtocolPorts]] = {
    "vxlan": _udp(4789),
    "vxlan-linux": _udp(8472),
    "geneve": _udp(6081),
    "gtp-u": _udp(2152),
    "wireguard": _udp(51820),
    "gre": ProtocolPorts(PROTOCOL_NUMBERS["gre"]),
    "ipip": ProtocolPorts(PROTOCOL_NUMBERS["ipip"]),
    "sit": ProtocolPorts(PROTOCOL_NUMBERS["sit"]),
    "esp": ProtocolPorts(PROTOCOL_NUMBERS["esp"]),
}
"""`vxlan` is the port that IANA assigned; `vxlan-linux` the older one that Linux uses where none is given."""
