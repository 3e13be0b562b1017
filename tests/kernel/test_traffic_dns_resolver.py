"""A resolver's traffic: queries and answers, over UDP and TCP, from a peer and from loopback, and to other servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.command_line import apply_example, nftables_and_in_soak_the_rest, packets
from kernel.hosts import Pair, pair, states, tcp, udp

pytestmark = pytest.mark.kernel

RESOLVER, CLIENT = ("10.0.0.53", "fd00:53::53"), ("10.0.0.7", "fd00:53::7")


@pytest.fixture
def hosts() -> Iterator[Pair]:
    """The resolver here, and there whom it answers and asks."""
    with pair([f"{RESOLVER[0]}/24", f"{RESOLVER[1]}/64"], [f"{CLIENT[0]}/24", f"{CLIENT[1]}/64"]) as joined:
        yield joined


def test_without_the_policy_each_query_is_an_entry(hosts: Pair) -> None:
    for address in RESOLVER:
        udp(hosts.there, hosts.here, address, 53)
    udp(hosts.here, hosts.here, "127.0.0.1", 53)
    assert len(hosts.here.conntrack("-p", "udp")) == 3


@nftables_and_in_soak_the_rest
@pytest.mark.parametrize("version", [0, 1])
def test_queries_and_answers_leave_no_entry(hosts: Pair, version: int, backend: str) -> None:
    apply_example("dns-resolver", backend, hosts.here)
    for exchange in (udp, tcp):
        exchange(hosts.there, hosts.here, RESOLVER[version], 53)
    from_peers = packets(hosts.here, backend)["dns"]
    assert from_peers > 2 + 6
    for exchange in (udp, tcp):
        exchange(hosts.here, hosts.here, ("127.0.0.1", "::1")[version], 53)
    from_loopback = packets(hosts.here, backend)["dns"]
    assert from_loopback > from_peers + 2 + 6
    udp(hosts.here, hosts.there, CLIENT[version], 53)
    assert packets(hosts.here, backend)["dns"] == from_loopback + 2
    assert hosts.here.conntrack() == []
    assert states(hosts.here)["invalid"] == states(hosts.here)["new"] == 0


@nftables_and_in_soak_the_rest
def test_encrypted_queries_of_clients_leave_no_entry(hosts: Pair, backend: str) -> None:
    apply_example("dns-resolver", backend, hosts.here)
    tcp(hosts.there, hosts.here, RESOLVER[0], 853)
    tcp(hosts.there, hosts.here, RESOLVER[1], 853)
    assert hosts.here.conntrack("-p", "tcp") == []
    assert packets(hosts.here, backend)["encrypted-dns"] > 12


@nftables_and_in_soak_the_rest
def test_other_traffic_is_tracked(hosts: Pair, backend: str) -> None:
    apply_example("dns-resolver", backend, hosts.here)
    tcp(hosts.there, hosts.here, RESOLVER[0], 22)
    tcp(hosts.here, hosts.here, "127.0.0.1", 22)
    assert len(hosts.here.conntrack("-p", "tcp", "--orig-port-dst", "22")) == 2
