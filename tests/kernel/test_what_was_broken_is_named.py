"""The live table broken on purpose, in one place: the plan names exactly the traffic that this is about."""

from __future__ import annotations

import pytest

from ctpolicy.meaning import decide
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.plan.plan import plan_policy
from kernel.live import apply_in, host_of
from kernel.namespace import Namespace
from policies import policy

pytestmark = pytest.mark.kernel

POLICY = """
groups:
  nodes: [192.168.7.0/24, 10.1.0.0/16]
bypass:
  - {name: metrics, host-service: tcp/9100, peers: nodes}
  - {name: busy, ports: udp/20000-20999, paths: [forward]}
"""

HOOK = "flush chain inet ctpolicy {0}; delete chain inet ctpolicy {0}; add chain inet ctpolicy {0} {{ type filter hook {1} priority {2}; }}; "  # noqa: E501

BREAKAGES = {
    "an element": (
        "delete element inet ctpolicy nodes_v4 { 10.1.0.0/16 }",
        {
            "in tcp 10.1.0.0/16 -> any:9100",
            "out tcp any:9100 -> 10.1.0.0/16 dev not lo",
            "out tcp any:9100 -> [10.1.0.0/16]:not 9100",
            "out tcp [not 192.168.7.0/24]:9100 -> 10.1.0.0/16",
            "out tcp [10.1.0.0/16]:not 9100 -> any:9100 dev lo",
            "out tcp 10.1.0.0/16 -> [not 192.168.7.0/24]:9100 dev lo",
        },
        set(),
    ),
    "a port": (
        "delete element inet ctpolicy prerouting_udp_dport_ranges { 20000-20999 }; add element inet ctpolicy "
        "prerouting_udp_dport_ranges { 20000-21000 : jump prerouting_udp_dport_busy }",
        set(),
        {"forward udp any:not 20000-20999 -> any:21000"},
    ),
    "a hook": (
        HOOK.format("output", "input", -300) + "add rule inet ctpolicy output meta l4proto vmap @output_protocols",
        {"out tcp any:9100 -> 10.1.0.0/16,192.168.7.0/24", "out tcp 10.1.0.0/16,192.168.7.0/24 -> any:9100 dev lo"},
        set(),
    ),
    "a priority": (
        HOOK.format("output", "output", -150) + "add rule inet ctpolicy output meta l4proto vmap @output_protocols",
        {"out tcp any:9100 -> 10.1.0.0/16,192.168.7.0/24", "out tcp 10.1.0.0/16,192.168.7.0/24 -> any:9100 dev lo"},
        set(),
    ),
    "a verdict": (
        "flush chain inet ctpolicy bypass_busy; add rule inet ctpolicy bypass_busy counter accept",
        {"forward udp any:20000-20999 -> any", "forward udp any -> any:20000-20999"},
        set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_what_was_broken_is_named(breakage: str, namespace: Namespace) -> None:
    tested = policy(POLICY)
    apply_in(namespace, tested)
    command, untracked, tracked = BREAKAGES[breakage]
    namespace.run("nft", command)
    traffic = plan_policy(NFTABLES, tested, host_of(namespace).read()).traffic
    assert traffic.is_complete
    assert {shift.packets for shift in traffic.untracked} == untracked
    assert {shift.packets for shift in traffic.tracked} == tracked
    assert all(decide(tested, shift.witness).untracked for shift in traffic.untracked)
