"""Packets that two policies leave untracked stay untracked while the one follows the other, at a few 100,000 a second.

The frames come by a cable, both families in turn, from one thread, while another changes the policy. Behind the raw
table each is counted by whether it is tracked, and dropped.
"""

from __future__ import annotations

import time
from itertools import pairwise
from random import Random
from typing import Final

import pytest

from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ours import set_prefix
from ctpolicy.iptables.ruleset import RawTables, Variant
from kernel.command_line import nft_and_in_soak_legacy
from kernel.namespace import Namespace
from kernel.under_load import load, receive, seen
from policies import policy

pytestmark = [pytest.mark.kernel, nft_and_in_soak_legacy]

_NODES = '10.0.0.0/24, "fd00:7::/64"'
_HALVES = '10.0.0.0/25, 10.0.0.128/25, 10.3.0.0/16, "fd00:7::/65", "fd00:7::8000:0:0:0/65", "fd00:1::/64"'
_MANY_PORTS = "".join(f"udp/{port}, " for port in range(5000, 5040, 2))
_MANY_ENTRIES = "".join(
    f"  - {{name: e{port}, host-service: udp/{port}}}\n" for port in range(4700, 4900) if port != 4789
)

POLICIES: Final = {
    "one entry": f"groups: {{nodes: [{_NODES}, 10.9.0.1]}}\nbypass:\n  - {{name: vxlan, overlay: vxlan, peers: nodes}}",
    "other addresses": f"groups: {{nodes: [{_HALVES}]}}\nbypass:\n  - {{name: vxlan, overlay: vxlan, peers: nodes}}",
    "a group renamed": f"groups: {{hosts: [{_HALVES}]}}\nbypass:\n  - {{name: vxlan, overlay: vxlan, peers: hosts}}",
    "an entry renamed": f"groups: {{hosts: [{_HALVES}]}}\nbypass:\n  - {{name: other, overlay: vxlan, peers: hosts}}",
    "many ports in one entry": f"bypass:\n  - {{name: many, host-service: [{_MANY_PORTS} udp/4789]}}",
    "the ports of one are those of another": (
        f"bypass:\n  - {{name: many, host-service: [{_MANY_PORTS} udp/5100]}}\n"
        f"  - {{name: more, host-service: [{_MANY_PORTS} udp/5102, udp/4789]}}"
    ),
    "a tree": f"bypass:\n  - {{name: vxlan, overlay: vxlan}}\n{_MANY_ENTRIES}",
    "a tree with tracks": (
        f"groups: {{nodes: [10.1.0.0/16, 10.3.0.0/16, '::9']}}\nbypass:\n{_MANY_ENTRIES}"
        "  - {name: vxlan, overlay: vxlan}\ntrack:\n  - {name: t, host-service: udp/4789, peers: nodes}"
    ),
    "the tracks are about another port": (
        f"groups: {{nodes: [{_NODES}, 10.3.0.0/16, '::9']}}\nbypass:\n  - {{name: vxlan, overlay: vxlan}}\n"
        "track:\n  - {name: t, host-service: udp/53, peers: nodes}"
    ),
}


@pytest.fixture
def host(variant: Variant, namespace: Namespace) -> IptablesHost:
    """A host with a cable to `wire`, where frames are put."""
    receive(namespace)
    return IptablesHost(IptablesTools(namespace.path), variant)


def states_to_go_through(changes: int, variant: Variant) -> list[RawTables]:
    """Policies after one another, with ipsets and without, so that over time each follows each."""
    random = Random(7)
    compiled = [
        compile_policy(policy(text), with_sets, variant) for text in POLICIES.values() for with_sets in (True, False)
    ]
    order = [compiled[0]]
    while len(order) <= changes:
        order.append(random.choice([one for one in compiled if one != order[-1]]))
    return order


def go_through(host: IptablesHost, namespace: Namespace, changes: int, variant: Variant) -> dict[str, int]:
    order = states_to_go_through(changes, variant)
    host.change(host.read(), order[0])
    with load(namespace):
        time.sleep(0.1)
        for before, after in pairwise(order):
            host.change(before, after)
    return seen(namespace)


def test_no_packet_is_tracked_while_one_policy_follows_another(
    variant: Variant, namespace: Namespace, host: IptablesHost
) -> None:
    found = go_through(host, namespace, 30, variant)
    print(found)
    assert found["untracked"] > 50_000
    assert found["tracked"] == 0


@pytest.mark.soak
def test_no_packet_is_tracked_while_two_hundred_policies_follow_one_another(
    variant: Variant, namespace: Namespace, host: IptablesHost
) -> None:
    found = go_through(host, namespace, 200, variant)
    print(found)
    assert found["untracked"] > 500_000
    assert found["tracked"] == 0


@pytest.mark.parametrize("flushed", ["the chain", "the set"])
def test_the_load_shows_a_gap_where_there_is_one(
    variant: Variant, namespace: Namespace, host: IptablesHost, flushed: str
) -> None:
    first = compile_policy(policy(POLICIES["one entry"]), variant=variant)
    host.change(host.read(), first)
    with load(namespace):
        time.sleep(0.1)
        if flushed == "the chain":
            host.change(first, None)
            time.sleep(0.1)  # the thread that sends has to have its turn
            host.change(None, first)
        else:
            text = namespace.run("ipset", "save", f"{set_prefix(variant)}b4-nodes").stdout
            elements = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("add"))
            namespace.run("ipset", "flush", f"{set_prefix(variant)}b4-nodes")
            time.sleep(0.1)
            namespace.run("ipset", "restore", stdin=elements)
    found = seen(namespace)
    print(found)
    assert found["untracked"] > 1000
    assert found["tracked"] > 0
