"""Import grows with what is read, not with its square: a hundred services with peers of their own once took 13 s."""

from __future__ import annotations

import time

import pytest

from ctpolicy.importing.many import MANY, many_services
from ctpolicy.importing.space_to_policy import import_untracked
from ctpolicy.language.policy import Forward, HostService, Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.space import table_space
from ctpolicy.packetspace.space import PacketSpace
from policies import policy

PATIENCE = 60.0
"""Seconds; 5 or fewer on a machine with nothing else to do."""


def services(kind: str, count: int, more: str = "") -> Policy:
    ends = "clients" if kind == "forward" else "peers"
    return policy(
        "bypass:\n"
        + "".join(
            f"  - {{name: e{n}, {kind}: tcp/{9000 + n}, {ends}: 10.{n >> 8}.{n & 255}.0/24}}\n" for n in range(count)
        )
        + more
    )


# Clients and forwards with peers of their own have no small diagram, whoever asks: see packetspace/universe.py.
@pytest.mark.parametrize(("kind", "count"), [("host-service", 1000), ("host-client", 120), ("forward", 120)])
def test_many_services_come_back_one_by_one(kind: str, count: int) -> None:
    read = services(kind, count)
    began = time.monotonic()
    found = import_untracked(table_space(compile_policy(read)), "imported")
    assert time.monotonic() - began < PATIENCE
    assert found.is_complete
    assert len(found.policy.bypass) == count
    assert {type(entry) for entry in found.policy.bypass} == {type(read.bypass[0])}


def test_a_long_list_of_prefixes_is_one_entry_and_one_group() -> None:
    prefixes = "".join(f"    - 11.{n >> 8}.{n & 255}.0/25\n" for n in range(5000))
    read = policy(f"groups:\n  many:\n{prefixes}bypass:\n  - {{name: one, host-service: udp/53, peers: many}}\n")
    began = time.monotonic()
    found = import_untracked(table_space(compile_policy(read)), "imported")
    assert time.monotonic() - began < PATIENCE
    (entry,) = found.policy.bypass
    assert isinstance(entry, HostService)
    assert len(entry.peers.ipv4) == 5000


def test_among_many_those_that_are_no_services_are_found_out() -> None:
    half = "  - {name: half, match: {paths: [in], protocol: udp, destination-ports: 7, source: 192.0.2.0/24}}\n"
    read = services("host-service", MANY, half)
    space = bypass_space(read)
    chosen, left = many_services(space, space)
    assert len(chosen) == MANY
    assert left == bypass_space(Policy("half", bypass=read.bypass[-1:]))
    found = import_untracked(table_space(compile_policy(read)), "imported")
    assert found.is_complete
    assert len(found.policy.bypass) == MANY + 1


def test_few_are_weighed_one_against_the_other() -> None:
    space = bypass_space(services("forward", MANY - 1))
    assert many_services(space, space) == ([], space)
    more = bypass_space(services("forward", MANY))
    chosen, left = many_services(more, more)
    assert {type(entry) for entry in chosen} == {Forward}
    assert left == PacketSpace.none()


def test_a_tracked_network_among_many_services_is_one_track_entry() -> None:
    read = services(
        "host-service", MANY, "track:\n  - {name: network, match: {destination: 172.30.0.0/16, both-ways: true}}\n"
    )
    found = import_untracked(table_space(compile_policy(read)), "imported")
    assert found.is_complete
    assert len(found.policy.bypass) == MANY
    assert len(found.policy.track) == 1
