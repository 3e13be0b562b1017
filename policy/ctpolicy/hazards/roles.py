"""Which packets a policy says to be requests, and which answers, so that neither is asked about as the other.

A packet alone does not tell: what comes in to port 9100 may be a request to the exporter there, or the answer to a
connection that this host made from port 9100. But users say what the traffic is. Of a service's packets those to its
port are requests and those from it are answers; whoever took them for the other would find hazards in flows that nobody
has, and offer remedies that let strangers in. Of `ports`, `match` and most tunnels nothing is said, so both are asked:
two ends of WireGuard that send from the port that they listen on are each other's answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.language.policy import ANY_PORT, Entry, Forward, HostClient, HostService, Overlay, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import leg_box
from ctpolicy.packetspace.fields import PROTOCOL_NUMBERS
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace

_ENTROPY: Final = IntervalSet.of((port, port) for port in (4789, 6081, 8472))
"""Ports of tunnels whose source port says which inner flow it is (VXLAN, Geneve), so that nothing answers to it."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What packets are not.

    Args:
        never_requests: packets that no flow begins with.
        never_answers: packets that answer none.
        unanswered: packets that nothing answers.
    """

    never_requests: PacketSpace
    never_answers: PacketSpace
    unanswered: PacketSpace

    @classmethod
    def unknown(cls) -> Roles:
        """Where nobody has said what the traffic is."""
        return cls(PacketSpace.none(), PacketSpace.none(), PacketSpace.none())

    @classmethod
    def of(cls, policy: Policy) -> Roles:
        """As the bypass entries of a policy say."""
        said = [one for entry in policy.bypass for one in _said(entry)]
        requests = PacketSpace.of_boxes(leg_box(leg) for leg, may_begin, _ in said if may_begin)
        answers = PacketSpace.of_boxes(leg_box(leg) for leg, _, may_answer in said if may_answer)
        one_way = [leg_box(leg) for entry in policy.bypass if _has_entropy(entry) for leg in legs(entry)]
        answered = [leg_box(leg) for entry in policy.bypass if not _has_entropy(entry) for leg in legs(entry)]
        unanswered = PacketSpace.of_boxes(one_way) - PacketSpace.of_boxes(answered)
        return cls(answers - requests, requests - answers, unanswered)


def _said(entry: Entry) -> Iterator[tuple[Leg, bool, bool]]:
    """The legs of an entry: whether flows may begin with their packets, and whether these may answer."""
    for leg in legs(entry):
        match entry:
            case HostService() | HostClient() | Forward():
                yield leg, leg.source_ports == ANY_PORT, leg.destination_ports == ANY_PORT
            case Overlay():
                yield leg, True, not _has_entropy(entry)
            case _:
                yield leg, True, True


def _has_entropy(entry: Entry) -> bool:
    """Whether it is a tunnel whose packets are not answered port for port."""
    if not isinstance(entry, Overlay) or entry.tunnel.protocol != PROTOCOL_NUMBERS["udp"]:
        return False
    return entry.tunnel.ports & _ENTROPY == entry.tunnel.ports
