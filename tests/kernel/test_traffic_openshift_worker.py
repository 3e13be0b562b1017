"""An OpenShift worker's traffic: a real VXLAN tunnel, and services on the host network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.command_line import apply_example, each_backend, packets
from kernel.hosts import Pair, give_addresses, pair, ping, routed, states, tcp, udp
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

WORKER, PEER = "192.168.7.70", "192.168.7.72"
MONITORING = "10.0.8.3"
INNER_WORKER, INNER_PEER = "10.128.0.1", "10.128.2.1"


@pytest.fixture
def workers() -> Iterator[Pair]:
    """Two workers with a VXLAN device between them, that Linux's own defaults do not know of."""
    with pair([f"{WORKER}/24", "192.168.7.71/24"], [f"{PEER}/24", f"{MONITORING}/24"]) as hosts:
        hosts.here.ip("route add 10.0.8.0/24 dev eth0")
        for host, remote, inner in ((hosts.here, PEER, INNER_WORKER), (hosts.there, WORKER, INNER_PEER)):
            host.ip(f"link add vxlan0 type vxlan id 7 remote {remote} dstport 4789 dev eth0")
            give_addresses(host, "vxlan0", f"{inner}/14")
        yield hosts


def outer_flows(host: Namespace) -> list[str]:
    return host.conntrack("-p", "udp", "--orig-port-dst", "4789")


def through_the_tunnel(workers: Pair) -> None:
    ping(workers.here, INNER_PEER)
    for port in range(4001, 4011):
        udp(workers.here, workers.there, INNER_PEER, port)
    tcp(workers.there, workers.here, INNER_WORKER, 8080)


def test_without_the_policy_the_outer_flows_fill_the_table(workers: Pair) -> None:
    through_the_tunnel(workers)
    for host in (workers.here, workers.there):
        assert len(outer_flows(host)) > 5
        assert all("[UNREPLIED]" in entry for entry in outer_flows(host))


@each_backend
def test_with_the_policy_the_outer_flows_leave_no_entry_and_the_inner_ones_do(workers: Pair, backend: str) -> None:
    apply_example("openshift-worker", backend, workers.here, workers.there)
    through_the_tunnel(workers)
    for host in (workers.here, workers.there):
        assert outer_flows(host) == []
        assert packets(host, backend)["vxlan"] >= 2 * 3 + 2 * 10 + 6
        assert len(host.conntrack("-p", "udp", "--orig-dst", INNER_PEER)) == 10
        assert len(host.conntrack("-p", "icmp", "--orig-dst", INNER_PEER)) == 1


@each_backend
def test_a_tunnel_that_a_pod_runs_through_the_worker_leaves_no_entry(backend: str) -> None:
    with routed(["10.128.2.7/24"], ["192.168.7.72/24"], ["10.128.2.1", "192.168.7.71"]) as hosts:
        udp(hosts.client, hosts.server, "192.168.7.72", 4789)
        assert len(outer_flows(hosts.router)) == 1
        apply_example("openshift-worker", backend, hosts.router)
        udp(hosts.client, hosts.server, "192.168.7.72", 4789)
        assert packets(hosts.router, backend)["vxlan"] == 1
        assert outer_flows(hosts.router) == []


@each_backend
def test_scrapes_of_a_host_network_service_leave_no_entry(workers: Pair, backend: str) -> None:
    tcp(workers.there, workers.here, WORKER, 9100, source=MONITORING)
    assert len(workers.here.conntrack("-p", "tcp", "--orig-port-dst", "9100")) == 1
    apply_example("openshift-worker", backend, workers.here)
    tcp(workers.there, workers.here, WORKER, 9100, source=MONITORING)
    assert workers.here.conntrack("-p", "tcp") == []
    assert packets(workers.here, backend)["node-metrics"] > 6
    assert states(workers.here)["invalid"] == 0


@each_backend
def test_a_scrape_from_loopback_leaves_no_entry_either(workers: Pair, backend: str) -> None:
    apply_example("openshift-worker", backend, workers.here)
    tcp(workers.here, workers.here, "192.168.7.71", 9100, source="192.168.7.71")
    assert workers.here.conntrack("-p", "tcp") == []
    assert packets(workers.here, backend)["node-metrics"] > 6


@each_backend
def test_others_and_other_services_are_tracked(workers: Pair, backend: str) -> None:
    apply_example("openshift-worker", backend, workers.here)
    tcp(workers.there, workers.here, WORKER, 9100, source=PEER)
    tcp(workers.there, workers.here, WORKER, 22, source=MONITORING)
    assert len(workers.here.conntrack("-p", "tcp", "--orig-port-dst", "9100")) == 1
    assert len(workers.here.conntrack("-p", "tcp", "--orig-port-dst", "22")) == 1
    assert packets(workers.here, backend)["node-metrics"] == 0


@each_backend
def test_the_service_network_is_tracked_even_on_the_port_of_vxlan(workers: Pair, backend: str) -> None:
    for host in (workers.here, workers.there):
        host.ip("link delete vxlan0")
    apply_example("openshift-worker", backend, workers.here)
    workers.here.ip("route add 172.30.0.0/16 dev eth0")
    give_addresses(workers.there, "eth0", "172.30.0.10/32")
    udp(workers.here, workers.there, "172.30.0.10", 4789)
    assert len(outer_flows(workers.here)) == 1
    assert packets(workers.here, backend)["service-network"] == 2
