"""A router's traffic: memcached connections through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.command_line import apply_example, nftables_and_in_soak_the_rest, packets
from kernel.hosts import Routed, routed, states, tcp

pytestmark = pytest.mark.kernel

CACHES = ("10.0.9.7", "fd00:9::7")
STRANGER = "203.0.113.9"


@pytest.fixture
def hosts() -> Iterator[Routed]:
    """An application that is a stranger by its second address, the router, and a cache."""
    clients = ["10.129.4.2/24", "fd00:128::2/64", f"{STRANGER}/24"]
    gateways = ["10.129.4.1", "fd00:128::1", "203.0.113.1", "10.0.9.1", "fd00:9::1"]
    with routed(clients, [f"{CACHES[0]}/24", f"{CACHES[1]}/64"], gateways) as joined:
        yield joined


def test_without_the_policy_each_connection_is_an_entry(hosts: Routed) -> None:
    for cache in CACHES:
        tcp(hosts.client, hosts.server, cache, 11211)
    assert len(hosts.router.conntrack("-p", "tcp")) == 2


@nftables_and_in_soak_the_rest
def test_connections_through_the_router_leave_no_entry(hosts: Routed, backend: str) -> None:
    apply_example("memcached-router", backend, hosts.router)
    for cache in CACHES:
        tcp(hosts.client, hosts.server, cache, 11211)
    assert hosts.router.conntrack("-p", "tcp") == []
    assert packets(hosts.router, backend)["memcached"] > 12
    assert states(hosts.router)["invalid"] == 0


@nftables_and_in_soak_the_rest
def test_strangers_other_ports_and_the_router_itself_are_tracked(hosts: Routed, backend: str) -> None:
    apply_example("memcached-router", backend, hosts.router)
    tcp(hosts.client, hosts.server, CACHES[0], 11211, source=STRANGER)
    tcp(hosts.client, hosts.server, CACHES[0], 443)
    tcp(hosts.client, hosts.router, "10.0.9.1", 11211)
    assert len(hosts.router.conntrack("-p", "tcp")) == 3
    assert packets(hosts.router, backend)["memcached"] == 0
