"""What the catalogue of hosts promises about itself."""

from __future__ import annotations

from kernel.consequences.catalogue import HOSTS, catalogue


def test_there_are_hosts_of_each_kind_and_some_on_which_nothing_breaks() -> None:
    hosts = catalogue()
    assert len(hosts) >= 40
    assert sum(not host.broken for host in hosts) >= 8
    files = {path.name for path in HOSTS.glob("*/*")}
    assert {"rules.nft", "rules.v4", "rules.v6", "sets.ipset"} <= files
    assert {host.backend for host in hosts} == {"nftables", "iptables-nft", "iptables-legacy"}


def test_each_host_says_why_it_is_here_and_names_what_breaks() -> None:
    for host in catalogue():
        assert len(host.said["why"].split()) >= 10, host.name
        assert set(host.hazards) == host.broken, host.name
        assert host.kept <= set(host.flows), host.name
        assert host.policy or host.first, host.name


def test_enough_hosts_are_tried_each_time() -> None:
    assert sum(not host.soak for host in catalogue()) >= 40
