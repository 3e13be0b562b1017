"""Packets that two policies leave untracked stay untracked while the one follows the other, at a few 100,000 a second.

The frames come by a cable, both families in turn, from one thread, while another changes the policy. Behind the raw
table each is counted by whether it is tracked, and dropped.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random
from typing import Final

import pytest

from benchmarks.sending import Sender
from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ours import set_prefix
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.packetspace.packet import parse_packet
from kernel.namespace import Namespace
from kernel.wire import frame
from policies import policy

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

MOST_BATCHES: Final = 40_000
"""Of 256 packets: a test that hangs does not send for ever."""

PACKETS: Final = (
    "in udp 10.0.0.5:40000 -> 10.255.255.1:4789",
    "in udp 10.0.0.200:40001 -> 10.255.255.1:4789",
    "in udp [fd00:7::5]:40000 -> [fd00:ff::1]:4789",
    "in udp [fd00:7::9]:40001 -> [fd00:ff::1]:4789",
)

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

_COUNTERS: Final = """
table inet seen {
  counter untracked { }
  counter tracked { }
  chain prerouting {
    type filter hook prerouting priority -250;
    iifname "eth0" udp dport 4789 ct state untracked counter name untracked drop
    iifname "eth0" udp dport 4789 counter name tracked drop
  }
}
"""


@pytest.fixture
def host(variant: Variant, namespace: Namespace) -> IptablesHost:
    """A host with a cable to `wire`, where frames are put."""
    receiver = "02:00:00:00:00:01"
    namespace.write("ipv6/conf/default/accept_dad", 0)
    namespace.ip(
        f"link add eth0 address {receiver} type veth peer name wire",
        "link set eth0 up",
        "link set wire up",
        "address add 10.255.255.1/32 dev eth0",
        "address add fd00:ff::1/128 dev eth0",
    )
    namespace.load(_COUNTERS)
    return IptablesHost(IptablesTools(namespace.path), variant)


@contextmanager
def load(namespace: Namespace) -> Iterator[None]:
    """As many packets as one thread can send, while something else is done."""
    frames = [frame(parse_packet(text), 1, b"\x02\0\0\0\0\x01") for text in PACKETS]
    sender = Sender(namespace, "wire", frames)
    ended = threading.Event()

    def keep_sending() -> None:
        for _ in range(MOST_BATCHES):
            if ended.is_set():
                return
            sender.send(1, time.perf_counter_ns)

    thread = threading.Thread(target=keep_sending)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def seen(namespace: Namespace) -> dict[str, int]:
    """Packets by whether they were tracked."""
    listing = json.loads(namespace.run("nft", "-j", "list", "counters").stdout)
    counters = (item["counter"] for item in listing["nftables"] if "counter" in item)
    return {counter["name"]: counter["packets"] for counter in counters}


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
            host.change(None, first)
        else:
            text = namespace.run("ipset", "save", f"{set_prefix(variant)}b4-nodes").stdout
            elements = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("add"))
            namespace.run("ipset", "flush", f"{set_prefix(variant)}b4-nodes")
            namespace.run("ipset", "restore", stdin=elements)
    found = seen(namespace)
    print(found)
    assert found["untracked"] > 1000
    assert found["tracked"] > 0
