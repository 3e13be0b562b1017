"""Which packets of a policy begin flows, and which answer them: its entries say so, and a packet does not.

Whoever looks at rules alone has to take each packet for both. But what goes to a service of this host from its clients
is no answer, unless this host asks from the service's own port. So that such an answer is lost is told as possible.
"""

from __future__ import annotations

from dataclasses import dataclass

from ctpolicy.language.policy import ANY_PORT, Entry, Forward, HostClient, HostService, Overlay, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import leg_box
from ctpolicy.packetspace.space import PacketSpace


@dataclass(frozen=True, slots=True)
class Roles:
    """What the packets of a policy are by its entries.

    Args:
        requests: those that may begin flows.
        replies: those that may answer.
    """

    requests: PacketSpace
    replies: PacketSpace

    @classmethod
    def of(cls, policy: Policy | None) -> Roles:
        """Of a policy; without one every packet may be either."""
        if policy is None:
            return cls(PacketSpace.all(), PacketSpace.all())
        said = [(entry, leg) for entry in policy.bypass for leg in legs(entry)]
        requests = PacketSpace.of_boxes(leg_box(leg) for entry, leg in said if not _is_reply(entry, leg))
        return cls(requests, PacketSpace.of_boxes(leg_box(leg) for entry, leg in said if not _is_request(entry, leg)))


def _is_request(entry: Entry, leg: Leg) -> bool:
    """Whether the packets of a leg answer nothing. Tunnels are not answered port for port."""
    return isinstance(entry, Overlay) or (
        _is_of_a_service(entry) and leg.source_ports == ANY_PORT != leg.destination_ports
    )


def _is_reply(entry: Entry, leg: Leg) -> bool:
    return _is_of_a_service(entry) and leg.destination_ports == ANY_PORT != leg.source_ports


def _is_of_a_service(entry: Entry) -> bool:
    return isinstance(entry, HostService | HostClient | Forward)
