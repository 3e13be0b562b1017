"""The packets of a flow as the host sees them before conntrack does: requests, answers, and ICMP errors about both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from ctpolicy.hazards.hazard import Traffic
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS, Path
from ctpolicy.packetspace.packet import Packet
from kernel.consequences.catalogue import Host
from kernel.consequences.flows import Flow
from kernel.consequences.places import STANDS_IN, Inside, Places

ANY_PORT: Final = 40_000
"""A client's port, unless the host's file says another."""

_ANSWERED: Final = re.compile(r"(?P<place>[a-z-]+):(?P<port>\d+) saw (?P<seen>.*)")
_ON_THE_HOST: Final = frozenset({"host", "inside", "overlay-host"})
_INSIDE: Final = frozenset({"inside", "server", "neighbour"})


def packets_of(host: Host, name: str) -> dict[Traffic, list[Packet]]:
    """The packets of one flow, by what they are of it.

    Of ICMP errors, those that the flow needs: about much data to where the path is narrow, and about a datagram that
    is refused. (An error's own addresses do not say which flow it is about.)
    """
    flow, before = host.flows[name], host.before[name]
    view = _View(Places(host.inside), host.inside, flow)
    if flow.source.startswith("overlay-"):
        return view.of_tunnel(int(re.findall(r"dstport (\d+)", host.vxlan)[0]))
    request = view.packet(flow.source, ANY_PORT, flow.target, flow.port)
    found = _ANSWERED.fullmatch(before)
    if found:
        replier = _replier(flow, found["place"])
        port = flow.port if flow.kind == "ftp" else int(found["port"])  # of FTP, the control connection decides
        asker_port = host.said["flows"][name].get("translated-port", ANY_PORT)
        replies = [view.packet(replier, port, found["seen"], asker_port)]
        errors = [view.error("router", replier)] if flow.kind == "download" else []
    elif flow.kind == "udp" and before == "refused":
        replies, errors = [], [view.error(flow.target, flow.source)]
    else:
        replies, errors = [view.packet(flow.target, flow.port, flow.source, ANY_PORT)], []
    return {Traffic.REQUESTS: [request], Traffic.REPLIES: replies, Traffic.ERRORS: errors}


def _replier(flow: Flow, place: str) -> str:
    """The name of the address from which a service answers: the one that was asked, or, translated, its own."""
    if place == STANDS_IN.get(flow.target, flow.target):
        return flow.target
    return "inside" if place == "host" and flow.source in _INSIDE else place


@dataclass(frozen=True, slots=True)
class _View:
    """Where the host meets what."""

    places: Places
    inside: Inside
    flow: Flow

    def packet(self, source: str, source_port: int, target: str, port: int, protocol: str = "") -> Packet:
        """One packet between two places, with the path and the device by which the host meets it."""
        from_here, to_here = source in _ON_THE_HOST, target in _ON_THE_HOST
        far = target if from_here else source
        device = "lo" if from_here and to_here else self._device(far)
        path = Path.OUT if from_here else Path.IN if to_here else Path.FORWARD
        version = self.flow.version
        icmp = "icmp" if version == 4 else "icmpv6"
        word = protocol or {"udp": "udp", "ping": icmp}.get(self.flow.kind, "tcp")
        has_ports = word in {"tcp", "udp"}
        return Packet(
            path,
            PROTOCOL_NUMBERS[word],
            ip_address(self.places.address(source, version)),
            ip_address(self.places.address(target, version)),
            source_port if has_ports else None,
            port if has_ports else None,
            device,
        )

    def _device(self, far: str) -> str:
        return self.inside.device if far in _INSIDE else "eth0"

    def error(self, teller: str, told: str) -> Packet:
        """An ICMP error, from who sends it to who needs it."""
        return self.packet(teller, 0, told, 0, "icmp" if self.flow.version == 4 else "icmpv6")

    def of_tunnel(self, port: int) -> dict[Traffic, list[Packet]]:
        """The outer packets of a tunnel between client and host; none is an answer to another."""
        outer = [
            self.packet(STANDS_IN[f"overlay-{one}"], ANY_PORT, STANDS_IN[f"overlay-{other}"], port, "udp")
            for one, other in (("client", "host"), ("host", "client"))
        ]
        errors = [self.packet("router", 0, "host", 0, "icmp")] if self.flow.kind == "download" else []
        return {Traffic.REQUESTS: outer, Traffic.REPLIES: [], Traffic.ERRORS: errors}
