"""What is told of each host before its policy is applied, held against what broke there with real traffic.

Nothing that broke was missed, and nothing that is told to be certainly lost goes on.
"""

from __future__ import annotations

from typing import Final

import pytest

from kernel.consequences.catalogue import Host, catalogue
from kernel.consequences.told import told_of
from kernel.consequences.world import world

pytestmark = pytest.mark.kernel

TOLD: Final = [host for host in catalogue() if host.policy and not host.has_iptables]
"""The hosts whose rules nftables alone keeps, and on which a policy is applied."""

NOT_TOLD: Final = {
    ("kube-proxy-nft", "empty"): "what a rule for new packets rejected goes by it untracked",
    ("kube-proxy-nft", "unallocated"): "the same, of what it dropped",
    ("nft-connlimit", "of-new"): "a limit on new connections sees none",
    ("nft-translated-into-the-bypass", "web"): "answers to a port that masquerading chose",
    ("nft-translated-into-the-bypass", "dns"): "likewise",
}
"""Flows that break and of which nothing is told yet."""


@pytest.mark.parametrize("host", TOLD, ids=lambda host: host.name)
def test_nothing_that_breaks_is_missed_and_nothing_certain_goes_on(host: Host) -> None:
    with world(host.inside, host.vxlan) as made:
        host.set_up(made["host"])
        told = told_of(host, made["host"])
    codes = {name: sorted({hazard.code for hazard in told.of(name)}) for name in host.broken}
    assert codes == {name: sorted(codes) for name, codes in host.hazards.items()}
    assert {name for name, found in codes.items() if not found} == {
        name for folder, name in NOT_TOLD if folder == host.name
    }
    assert [f"{name}: {hazard}" for name, hazard in told.wrongly_certain()] == []
