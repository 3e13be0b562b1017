"""An NTP server's traffic: its clients, and the servers that it takes its time from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.command_line import apply_example, nftables_and_in_soak_the_rest, packets
from kernel.hosts import Pair, pair, states, udp

pytestmark = pytest.mark.kernel

SERVER, UPSTREAM, CLIENT = "192.0.2.1", "192.0.2.123", "192.0.2.5"


@pytest.fixture
def hosts() -> Iterator[Pair]:
    """The server here, and there a client and an upstream server."""
    with pair(
        [f"{SERVER}/24", "2001:db8:123::1/64"], [f"{CLIENT}/24", f"{UPSTREAM}/24", "2001:db8:123::5/64"]
    ) as joined:
        yield joined


def test_without_the_policy_each_client_is_an_entry(hosts: Pair) -> None:
    udp(hosts.there, hosts.here, SERVER, 123, source=CLIENT)
    udp(hosts.here, hosts.there, UPSTREAM, 123)
    assert len(hosts.here.conntrack("-p", "udp")) == 2


@nftables_and_in_soak_the_rest
def test_clients_leave_no_entry(hosts: Pair, backend: str) -> None:
    apply_example("ntp-server", backend, hosts.here)
    udp(hosts.there, hosts.here, SERVER, 123, source=CLIENT)
    udp(hosts.there, hosts.here, SERVER, 123, source=CLIENT, source_port=123)
    udp(hosts.there, hosts.here, "2001:db8:123::1", 123)
    udp(hosts.here, hosts.here, "127.0.0.1", 123)
    assert hosts.here.conntrack("-p", "udp") == []
    assert packets(hosts.here, backend)["ntp-clients"] == 8
    assert states(hosts.here)["new"] == 0


@nftables_and_in_soak_the_rest
def test_the_servers_own_queries_leave_no_entry(hosts: Pair, backend: str) -> None:
    apply_example("ntp-server", backend, hosts.here)
    udp(hosts.here, hosts.there, UPSTREAM, 123)
    udp(hosts.here, hosts.there, "2001:db8:123::5", 123)
    assert hosts.here.conntrack("-p", "udp") == []
    assert packets(hosts.here, backend)["ntp-upstream"] == 4


@nftables_and_in_soak_the_rest
def test_queries_to_anybody_else_are_tracked(hosts: Pair, backend: str) -> None:
    apply_example("ntp-server", backend, hosts.here)
    udp(hosts.here, hosts.there, CLIENT, 123)
    assert len(hosts.here.conntrack("-p", "udp")) == 1
