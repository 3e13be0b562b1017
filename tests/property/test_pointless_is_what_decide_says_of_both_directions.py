"""Law: an entry is pointless exactly when `decide` leaves both its directions untracked, on every interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.entry import Entry, Status, Tuple
from ctpolicy.conntrack.pointless import LeftAlone, Pointless
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning, legs
from ctpolicy.netfilter.backend import Backend
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.packet import Address, Packet
from ctpolicy.testing.strategies import boundary_packets, policies

NOBODY: Final = HostAddresses.of(())
UDP: Final = 17


@settings(max_examples=10)
@given(policies(), st.integers(0, 2**32 - 1))
def test_a_pointless_entry_is_what_decide_says_of_both_directions(policy: Policy, seed: int) -> None:
    _check(NFTABLES, policy, Random(seed))


@settings(max_examples=4)
@pytest.mark.parametrize("with_sets", [True, False])
@given(policies(), st.integers(0, 2**32 - 1))
def test_a_pointless_entry_is_that_by_iptables_too(with_sets: bool, policy: Policy, seed: int) -> None:
    _check(IptablesBackend(Variant.LEGACY, with_sets), policy, Random(seed))


@settings(max_examples=10)
@given(policies(), policies(), st.integers(0, 2**32 - 1))
def test_a_change_makes_pointless_what_was_not(before: Policy, after: Policy, seed: int) -> None:
    old, new = (Pointless.now(NFTABLES, NFTABLES.compile(policy), NOBODY) for policy in (before, after))
    change = Pointless.by_change(NFTABLES, NFTABLES.compile(before), NFTABLES.compile(after), NOBODY)
    random = Random(seed)
    for packet in [*boundary_packets(before, random, 30), *boundary_packets(after, random, 30)]:
        entry, addresses = _entry(packet, random)
        old, new, change = (replace(one, addresses=addresses) for one in (old, new, change))
        assert (entry in change) == (entry in new and entry not in old), entry


def _check(backend: Backend[Any], policy: Policy, random: Random) -> None:
    meaning, interfaces = Meaning.of(policy), sorted(_interfaces(policy))
    pointless = Pointless.now(backend, backend.compile(policy), NOBODY)
    for packet in boundary_packets(policy, random, 60):
        entry, addresses = _entry(packet, random)
        judged = replace(pointless, addresses=addresses).judge(entry)
        there, back, tunnel = _packets(packet, entry, addresses)
        answered = max(_answers(meaning, back, interfaces), _answers(meaning, tunnel, interfaces) if tunnel else 0)
        fate = min(_answers(meaning, there, interfaces), answered)
        if fate == 2:
            assert judged in meaning.decide(there).bypassed_by, (entry, judged)
        else:
            assert judged is (LeftAlone.INTERFACE if fate else None), (entry, judged)


def _entry(packet: Packet, random: Random) -> tuple[Entry, HostAddresses]:
    """An entry that a packet would make, and the addresses of a host on which it is on that packet's path."""
    there = Tuple(
        int(packet.source), int(packet.destination), packet.protocol, packet.source_port, packet.destination_port
    )
    back = Tuple(there.destination, there.source, there.protocol, there.destination_port, there.source_port)
    local = {
        Path.IN: [packet.destination],
        Path.OUT: [packet.source, *([packet.destination] if packet.interface == LOOPBACK else [])],
        Path.FORWARD: [],
    }
    status = random.choice([Status.CONFIRMED, Status.CONFIRMED | Status.SEEN_REPLY, Status.SRC_NAT_DONE])
    entry = Entry(packet.family, there, back, status, 1)
    return entry, HostAddresses.of(str(address) for address in local[packet.path])


def _packets(packet: Packet, entry: Entry, addresses: HostAddresses) -> tuple[Packet, Packet, Packet | None]:
    """A packet of each direction, and of the other side of what may be a tunnel; the interface is open."""

    def is_in(address: Address, sets: object) -> bool:
        return int(address) in sets[packet.family]  # type: ignore[index]

    local = [is_in(end, addresses.local) for end in (packet.source, packet.destination)]
    if all(local):
        path, answer = Path.OUT, Path.OUT
    elif local[0]:
        path, answer = Path.OUT, Path.IN
    elif is_in(packet.destination, addresses.taken):
        path, answer = Path.IN, Path.OUT
    else:
        path, answer = Path.FORWARD, Path.FORWARD
    interface = LOOPBACK if all(local) else ""
    there = replace(packet, path=path, interface=interface)
    turned = replace(there, path=answer, source=there.destination, destination=there.source)
    back = replace(turned, source_port=there.destination_port, destination_port=there.source_port)
    may_be_tunnel = packet.protocol == UDP and not entry.status & Status.SEEN_REPLY
    return there, back, turned if may_be_tunnel else None


def _answers(meaning: Meaning, packet: Packet, interfaces: list[str]) -> int:
    """2 for a packet that is untracked on every interface, 1 for one that is on some, 0 for one that never is."""
    if packet.interface == LOOPBACK:
        return 2 if meaning.decide(packet).untracked else 0
    answers = {meaning.decide(replace(packet, interface=interface)).untracked for interface in interfaces}
    return 2 if answers == {True} else int(True in answers)


def _interfaces(policy: Policy) -> Iterator[str]:
    """One interface of each kind that a policy tells apart, but `lo`."""
    yield ""
    yield "zz9"
    for entry in policy.entries():
        for leg in legs(entry):
            for pattern in leg.interfaces.patterns or ():
                names = [pattern[:-1], f"{pattern[:-1]}~"[:15]] if pattern.endswith("*") else [pattern]
                yield from {name.replace("~", "_") for name in names} - {LOOPBACK}


def test_the_addresses_of_a_host_are_told_apart() -> None:
    host = HostAddresses.of(["10.0.0.1", "fd00::/64"], ["10.0.0.255"])
    for address, local, taken in (
        ("10.0.0.1", True, True),
        ("10.0.0.2", False, False),
        ("10.0.0.255", False, True),
        ("127.3.2.1", True, True),
        ("224.0.0.251", False, True),
        ("255.255.255.255", False, True),
        ("::1", True, True),
        ("fd00::77", True, True),
        ("fd00:0:0:1::", False, False),
        ("ff02::1", False, True),
    ):
        value = ip_address(address)
        family = next(one for one in host.local if one.value == f"ipv{value.version}")
        assert (int(value) in host.local[family], int(value) in host.taken[family]) == (local, taken), address
