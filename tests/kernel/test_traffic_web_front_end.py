"""A web front end's traffic: the public's, on its uplinks, and what stays tracked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.command_line import apply_example, nftables_and_in_soak_the_rest, packets
from kernel.hosts import Pair, give_addresses, pair, states, tcp, udp
from kernel.namespace import join

pytestmark = pytest.mark.kernel

FRONT_END = ("192.0.2.80", "2001:db8:80::80")
VISITOR, HEALTH_CHECK = "192.0.2.5", "192.0.2.70"


@pytest.fixture
def hosts() -> Iterator[Pair]:
    """The front end here, with one address that is not public, and there a visitor who also checks its health."""
    here = [f"{FRONT_END[0]}/24", f"{FRONT_END[1]}/64", "192.0.2.81/24"]
    with pair(here, [f"{VISITOR}/24", f"{HEALTH_CHECK}/24", "2001:db8:80::5/64"]) as joined:
        yield joined


def test_without_the_policy_each_visit_is_an_entry(hosts: Pair) -> None:
    tcp(hosts.there, hosts.here, FRONT_END[0], 443, source=VISITOR)
    assert len(hosts.here.conntrack("-p", "tcp")) == 1


@nftables_and_in_soak_the_rest
def test_visits_leave_no_entry(hosts: Pair, backend: str) -> None:
    apply_example("web-front-end", backend, hosts.here)
    for port in (80, 443):
        tcp(hosts.there, hosts.here, FRONT_END[0], port, source=VISITOR)
        tcp(hosts.there, hosts.here, FRONT_END[1], port)
    udp(hosts.there, hosts.here, FRONT_END[0], 443, source=VISITOR)
    assert hosts.here.conntrack() == []
    assert packets(hosts.here, backend)["web"] > 4 * 6 + 2
    assert states(hosts.here)["invalid"] == 0


@nftables_and_in_soak_the_rest
def test_health_checks_other_addresses_and_other_devices_are_tracked(hosts: Pair, backend: str) -> None:
    apply_example("web-front-end", backend, hosts.here)
    tcp(hosts.there, hosts.here, FRONT_END[0], 80, source=HEALTH_CHECK)
    tcp(hosts.there, hosts.here, "192.0.2.81", 443, source=VISITOR)
    join(hosts.here, hosts.there, ("docker0", "docker0"))
    give_addresses(hosts.here, "docker0", "172.17.0.1/24")
    give_addresses(hosts.there, "docker0", "172.17.0.2/24")
    hosts.there.ip(f"route add {FRONT_END[0]}/32 via 172.17.0.1")
    tcp(hosts.there, hosts.here, FRONT_END[0], 443, source="172.17.0.2")
    assert len(hosts.here.conntrack("-p", "tcp")) == 3
    counted = packets(hosts.here, backend)
    assert counted["web"] == 0
    assert counted["health-checks"] > 6
