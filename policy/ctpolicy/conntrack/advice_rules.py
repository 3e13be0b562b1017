"""The packets of a policy entry as the host's other rules meet them, and what of those rules they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.advice import Dependences
from ctpolicy.language.policy import (
    ANY_ADDRESS,
    ANY_PORT,
    Entry,
    Forward,
    HostClient,
    HostService,
    Overlay,
    ProtocolPorts,
)
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import leg_box
from ctpolicy.netfilter.stateful import Dependence, StatefulTable, Traffic, dependences
from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.universe import Box

_ANSWERED_ON: Final = {HostService: Path.OUT, HostClient: Path.IN, Forward: Path.FORWARD}


def rules_of(tables: Iterable[StatefulTable], addresses: HostAddresses) -> Dependences:
    """What the rules in these tables take from conntrack, for the advice about an entry."""
    known = tuple(tables)

    def found(entry: Entry) -> list[Dependence]:
        return dependences(known, traffic_of(entry, addresses))

    return found


def traffic_of(entry: Entry, addresses: HostAddresses) -> Traffic:
    """The packets of an entry of the kinds that are advised, on a host with these addresses."""
    assert isinstance(entry, Overlay | HostService | HostClient | Forward)
    service = entry.tunnel if isinstance(entry, Overlay) else entry.services[0]
    met = [_as_met(leg, addresses) for leg in legs(entry) if leg.interfaces.patterns != (LOOPBACK,)]
    requests = [leg for leg in met if _is_request(leg, service)]
    return Traffic(
        tuple(map(leg_box, requests)),
        tuple(leg_box(leg) for leg in met if leg not in requests),
        tuple(_aliases(entry, requests, addresses)),
        service.ports,
        service.protocol,
        _ANSWERED_ON.get(type(entry)),
    )


def _is_request(leg: Leg, service: ProtocolPorts) -> bool:
    return service.ports == ANY_PORT or leg.destination_ports == service.ports


def _as_met(leg: Leg, addresses: HostAddresses) -> Leg:
    """The leg with the addresses that packets on its path have."""
    local, taken, bits = addresses.local[leg.family], addresses.taken[leg.family], leg.family.bits
    match leg.path:
        case Path.IN:
            return replace(leg, destination=leg.destination & taken)
        case Path.OUT:
            return replace(leg, source=leg.source & local)
    return replace(
        leg, source=leg.source & local.complement(bits), destination=leg.destination & taken.complement(bits)
    )


def _aliases(entry: Entry, requests: Iterable[Leg], addresses: HostAddresses) -> Iterator[Box]:
    """Flows that this host passes on and that are answered to it, if a rule gives them its address."""
    if isinstance(entry, HostClient):
        for leg in requests:
            passed_on = replace(leg, path=Path.FORWARD, source=ANY_ADDRESS.of(leg.family))
            yield leg_box(_as_met(passed_on, addresses))
