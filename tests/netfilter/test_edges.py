"""Between two neighbouring edges of rules all values are the same to them."""

from __future__ import annotations

from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.netfilter.edges import edges
from ctpolicy.nftables.backend import NFTABLES
from policies import METRICS, policy


def test_edges_are_where_intervals_begin_and_where_they_have_ended() -> None:
    found = edges((((10, 20),), {"a": (30, 30)}, "10", None))
    assert {10, 21, 30, 31} <= set(found)
    assert found == tuple(sorted(found))


def test_every_backend_names_its_ports_and_prefixes() -> None:
    tested = policy(METRICS)
    for backend in (NFTABLES, IptablesBackend(Variant.NFT, True), IptablesBackend(Variant.NFT, False)):
        found = set(edges(backend.compile(tested)))
        assert {9100, 9101, 9537, 9538, 0xC0A80700, 0xC0A80800, 0x0A010000, 0x0A020000} <= found, backend.name
        assert 0xFD000007 << 96 in found, backend.name


def test_nothing_has_the_edges_that_every_host_has() -> None:
    assert 224 << 24 in edges(None)
