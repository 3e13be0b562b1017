"""A Kubernetes node's traffic: overlays on three ports, the node-local DNS cache, and what stays tracked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.command_line import apply_example, nftables_and_in_soak_the_rest, packets
from kernel.hosts import Pair, give_addresses, pair, ping, states, tcp, udp

pytestmark = pytest.mark.kernel

NODE, PEER = "192.168.10.11", "192.168.10.12"
CACHE = "169.254.20.10"


@pytest.fixture
def nodes() -> Iterator[Pair]:
    """Two nodes; the one here has the DNS cache's address."""
    with pair([f"{NODE}/24", "fd00:10::11/64"], [f"{PEER}/24", "fd00:10::12/64"]) as hosts:
        give_addresses(hosts.here, "lo", f"{CACHE}/32")
        hosts.there.ip(f"route add {CACHE}/32 via {NODE}")
        yield hosts


@nftables_and_in_soak_the_rest
@pytest.mark.parametrize(("entry", "port"), [("vxlan", 4789), ("vxlan-linux", 8472)])
def test_a_vxlan_tunnel_between_nodes_leaves_no_outer_entry(nodes: Pair, entry: str, port: int, backend: str) -> None:
    apply_example("kubernetes-node", backend, nodes.here)
    for host, remote, inner in ((nodes.here, PEER, "10.244.0.1"), (nodes.there, NODE, "10.244.1.1")):
        host.ip(f"link add tunnel type vxlan id 1 remote {remote} dstport {port} dev eth0")
        give_addresses(host, "tunnel", f"{inner}/16")
    ping(nodes.here, "10.244.1.1")
    assert nodes.here.conntrack("-p", "udp") == []
    assert len(nodes.there.conntrack("-p", "udp")) > 0  # there, nobody applied a policy
    assert packets(nodes.here, backend)[entry] > 6


@nftables_and_in_soak_the_rest
def test_geneve_packets_between_nodes_leave_no_entry(nodes: Pair, backend: str) -> None:
    """No device of that kind is needed: to conntrack they are datagrams to a port, each way from any port."""
    apply_example("kubernetes-node", backend, nodes.here)
    for address in (PEER, "fd00:10::12"):
        udp(nodes.here, nodes.there, address, 6081, source_port=6081)
    assert nodes.here.conntrack("-p", "udp") == []
    assert packets(nodes.here, backend)["geneve"] == 4


@nftables_and_in_soak_the_rest
def test_the_node_local_dns_cache_leaves_no_entry(nodes: Pair, backend: str) -> None:
    apply_example("kubernetes-node", backend, nodes.here)
    for exchange in (udp, tcp):
        exchange(nodes.here, nodes.here, CACHE, 53)
        exchange(nodes.there, nodes.here, CACHE, 53)
    assert nodes.here.conntrack() == []
    assert packets(nodes.here, backend)["node-local-dns"] > 2 * (2 + 6)
    assert states(nodes.here)["invalid"] == 0


@nftables_and_in_soak_the_rest
def test_node_ports_and_the_service_network_are_tracked(nodes: Pair, backend: str) -> None:
    apply_example("kubernetes-node", backend, nodes.here)
    tcp(nodes.there, nodes.here, NODE, 30080)
    give_addresses(nodes.there, "eth0", "10.96.0.10/32")
    nodes.here.ip("route add 10.96.0.0/12 dev eth0")
    udp(nodes.here, nodes.there, "10.96.0.10", 6081)
    assert len(nodes.here.conntrack("-p", "tcp", "--orig-port-dst", "30080")) == 1
    assert len(nodes.here.conntrack("-p", "udp", "--orig-dst", "10.96.0.10")) == 1
    counted = packets(nodes.here, backend)
    assert counted["node-ports"] > 6
    assert counted["service-network"] == 2
