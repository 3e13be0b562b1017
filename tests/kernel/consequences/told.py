"""What is told of a host before its policy is applied: the hazards, and which of them are about which flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ctpolicy.cli.host import backend_named, read_live
from ctpolicy.cli.surroundings import read_listings
from ctpolicy.hazards.between import hazards_between
from ctpolicy.hazards.codes import Severity
from ctpolicy.hazards.hazard import Hazard, Traffic
from ctpolicy.hazards.roles import Roles
from ctpolicy.language.load import load_files
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.plan.host_rules import host_rules
from ctpolicy.plan.side import own_side, policy_side
from kernel.consequences.catalogue import Host
from kernel.consequences.seen import packets_of
from kernel.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one host.

    Args:
        host: which.
        newly: what becomes untracked, as far as is certain.
        hazards: all of them.
    """

    host: Host
    newly: PacketSpace
    hazards: list[Hazard]

    def of(self, name: str) -> Iterator[Hazard]:
        """The hazards that are about a flow: of ICMP errors, only where the flow is bypassed that they are about."""
        packets = packets_of(self.host, name)
        flow = packets[Traffic.REQUESTS] + packets[Traffic.REPLIES]
        if not any(packet in self.newly for packet in flow):
            packets[Traffic.ERRORS] = []
        for hazard in self.hazards:
            if any(packet in hazard.space for packet in packets[hazard.traffic]):
                yield hazard

    def wrongly_certain(self) -> Iterator[tuple[str, Hazard]]:
        """Flows that go on, though they are certainly lost."""
        for name in self.host.flows.keys() - self.host.broken:
            for hazard in self.of(name):
                if hazard.is_certain and hazard.severity is Severity.ERROR:
                    yield name, hazard


def told_of(host: Host, namespace: Namespace) -> Told:
    """What is told of a host that has its rules, and not yet its policy."""
    assert host.policy is not None
    netns, backend = str(namespace.path), backend_named(host.backend)
    live = read_live(netns)
    listings, unread = read_listings(netns)
    assert not unread
    beside = live.foreign(backend)
    before = own_side(backend, live.own(backend), beside).untracked
    policy = load_files([host.policy], None)
    after = policy_side(policy, beside).untracked
    possibly = (after.possibly - before.possibly) | (after.certainly - before.certainly)  # as a plan tells its change
    hazards = hazards_between(host_rules(live, listings), possibly, after.certainly, Roles.of(policy))
    return Told(host, after.certainly - before.possibly, hazards)
