"""What a policy means, as an exact set of packets: the bypass space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ctpolicy.language.policy import Entry, Policy
from ctpolicy.meaning import Leg, legs
from ctpolicy.packetspace.interface_values import interface_set
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, family_set, path_set


def bypass_space(policy: Policy) -> PacketSpace:
    """The packets that stay untracked: in a leg of a bypass entry, and in no leg of a track entry."""
    return entries_space(policy.bypass) - entries_space(policy.track)


def entries_space(entries: Iterable[Entry]) -> PacketSpace:
    """The packets in any leg of these entries."""
    return PacketSpace.of_boxes(leg_box(leg) for entry in entries for leg in legs(entry))


def leg_box(leg: Leg) -> Box:
    """A leg as a box of fields."""
    return dict(_asked(leg))


def _asked(leg: Leg) -> Iterator[tuple[Field, IntervalSet]]:
    yield Field.PATH, path_set(leg.path)
    yield Field.FAMILY, family_set(leg.family)
    if leg.protocol is not None:
        yield Field.PROTOCOL, IntervalSet.single(leg.protocol)
    yield Field.DESTINATION_PORT, leg.destination_ports
    yield Field.SOURCE_PORT, leg.source_ports
    yield Field.INTERFACE, interface_set(leg.interfaces)
    yield Field.DESTINATION, leg.destination
    yield Field.SOURCE, leg.source
