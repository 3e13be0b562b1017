"""Packets that two policies leave untracked stay untracked while the one follows the other, at 300,000 a second.

The frames come by a cable, both families in turn, from one thread, while another changes the policy. Behind our table
each is counted by whether it is tracked, and dropped. Others, for which no policy has an entry, must stay tracked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Final

import pytest

from ctpolicy.nftables import transaction
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.transaction import transactions
from kernel.live import host_of, kernel_of
from kernel.namespace import Namespace
from kernel.under_load import NEVER_BYPASSED, PACKETS, load, receive, seen
from policies import policy

pytestmark = pytest.mark.kernel


def _list(second: int) -> str:
    """A thousand prefixes, none beside another."""
    return ", ".join(f"11.{second + at // 256}.{at % 256}.0/28" for at in range(1000))


_NODES: Final = '10.0.0.0/24, "fd00:7::/64"'
_HALVES: Final = '10.0.0.0/25, 10.0.0.128/25, 10.3.0.0/16, "fd00:7::/65", "fd00:7::8000:0:0:0/65", "fd00:1::/64"'
_SINGLE: Final = '10.0.0.5, 10.0.0.200, "fd00:7::5", "fd00:7::9", 10.0.0.7'
_ALWAYS: Final = ("10.255.0.0/16", '"fd00:9::/64"')
_NEAR: Final = [port for port in range(4700, 4900) if port != 4789]


def _vxlan(nodes: str, group: str = "nodes", entry: str = "vxlan") -> str:
    return f"groups: {{{group}: [{nodes}]}}\nbypass:\n  - {{name: {entry}, overlay: vxlan, peers: {group}}}"


def _entries(step: int, kind: str = "host-service") -> str:
    return "".join(f"  - {{name: e{port}, {kind}: udp/{port}}}\n" for port in _NEAR[::step])


POLICIES: Final = {
    "one port": "bypass:\n  - {name: vxlan, ports: udp/4789}",
    "more ports": "bypass:\n  - {name: vxlan, ports: [udp/4789, udp/53, udp/5000]}",
    "a range of ports": "bypass:\n  - {name: vxlan, ports: udp/4780-4800}",
    "ranges of ports that overlap": (
        "bypass:\n  - {name: a, ports: [udp/4700-4789, udp/6000-6010]}\n  - {name: b, ports: udp/4750-4900}"
    ),
    "many ports of other entries": f"bypass:\n  - {{name: vxlan, overlay: vxlan}}\n{_entries(1)}",
    "half of them": f"bypass:\n  - {{name: vxlan, overlay: vxlan}}\n{_entries(2)}",
    "prefixes": _vxlan(_NODES),
    "other prefixes": _vxlan(_HALVES),
    "addresses": _vxlan(_SINGLE),
    "a long list": _vxlan(f"{_NODES}, {_list(0)}"),
    "most of it replaced": _vxlan(f"{_HALVES}, {_list(3)}"),
    "one of it gone": _vxlan(f"{_NODES}, {_list(0)[len('11.0.0.0/28, ') :]}"),
    "a group renamed": _vxlan(f"{_NODES}, {_list(0)}", group="hosts"),
    "an entry renamed": _vxlan(f"{_HALVES}, {_list(3)}", group="hosts", entry="other"),
    "a port that is asked with prefixes": (
        f"groups: {{nodes: [{_NODES}, 10.9.0.0/16]}}\nbypass:\n"
        "  - {name: vxlan, match: {protocol: udp, source: nodes, destination-ports: [4789, 5000-5010]}}\n"
        "  - {name: more, match: {protocol: udp, source: 10.8.0.0/16, destination-ports: [4780-4790]}}"
    ),
    "many prefixes on one port": "bypass:\n  - {name: vxlan, overlay: vxlan, peers: [10.0.0.0/24, 'fd00:7::/64']}\n"
    + "".join(f"  - {{name: p{at}, host-service: udp/4789, peers: 10.7.{at}.0/24}}\n" for at in range(20)),
    "a group moved from one entry to another": (
        f"groups: {{nodes: [{_NODES}, 10.4.0.0/16], others: [10.6.0.0/16, 10.5.0.0/16]}}\nbypass:\n"
        "  - {name: vxlan, overlay: vxlan, peers: nodes}\n  - {name: other, host-service: udp/4789, peers: others}"
    ),
    "and back": (
        f"groups: {{others: [{_NODES}, 10.4.0.0/16], nodes: [10.6.0.0/16, 10.5.0.0/16]}}\nbypass:\n"
        "  - {name: vxlan, overlay: vxlan, peers: nodes}\n  - {name: other, host-service: udp/4789, peers: others}"
    ),
    "tracks of the same port": (
        "groups: {nodes: [10.1.0.0/16, 10.3.0.0/16, '::9']}\nbypass:\n  - {name: vxlan, overlay: vxlan}\n"
        f"{_entries(3)}track:\n  - {{name: t, host-service: udp/4789, peers: nodes}}"
    ),
    "tracks of another port": (
        f"groups: {{nodes: [{_NODES}, 10.3.0.0/16, '::9']}}\nbypass:\n  - {{name: vxlan, overlay: vxlan}}\n"
        "track:\n  - {name: t, host-service: udp/53, peers: nodes}"
    ),
    "tracks of the port with other prefixes": (
        "groups: {nodes: [10.1.0.0/17, 10.2.0.0/16]}\nbypass:\n  - {name: vxlan, ports: udp/4000-4900}\n"
        "track:\n  - {name: t, host-service: udp/4789, peers: nodes}\n  - {name: u, ports: udp/4000-4788}"
    ),
}

TAMPERINGS: Final = (
    "",
    "",
    "",
    "add counter inet ctpolicy mine",
    "add set inet ctpolicy pairs { type ipv4_addr . inet_service; }",
    "add chain inet ctpolicy stranger; add rule inet ctpolicy stranger drop",
)
"""What somebody does to our table before a change, now and then."""


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    """A host with a cable to `wire`, where frames are put."""
    receive(namespace)
    return namespace


def go_through(host: Namespace, order: Sequence[Table], tampering: Sequence[str] = ("",)) -> dict[str, int]:
    """Policies after one another; what was seen meanwhile."""
    random = Random(7)
    changed = host_of(host)
    changed.change(None, order[0])
    with load(host, (*PACKETS * 4, *NEVER_BYPASSED)):
        began = time.perf_counter()
        for desired in order:
            if somebody := random.choice(tampering):
                host.run("nft", somebody)
            changed.change(changed.read(), desired)
        took = time.perf_counter() - began
    found = seen(host)
    print(found, f"{sum(found.values()) / took:.0f} packets a second, {len(order)} changes in {took:.1f} s")
    assert changed.read() == order[-1]
    return found


def all_policies(changes: int, seed: int = 7) -> list[Table]:
    """In an order in which over time each follows each."""
    random = Random(seed)
    tables = [compile_policy(policy(text)) for text in POLICIES.values()]
    return [table for _ in range(changes // len(tables) + 1) for table in random.sample(tables, len(tables))][:changes]


def lists(random: Random) -> str:
    """Few or many addresses come, go, or are other prefixes."""
    nodes = random.choice((_NODES, _HALVES))
    more = random.sample(_list(0).split(", "), random.choice((3, 30, 300, 998)))
    return _vxlan(", ".join((nodes, "10.255.0.0/16", '"fd00:9::/64"', *more)))


def ports(random: Random) -> str:
    """Elements of a hash map; those beside one another would be a range."""
    some = sorted(random.sample(range(4600, 4788, 2), random.choice((3, 60))))
    return f"bypass:\n  - {{name: p, match: {{protocol: udp, paths: [in], destination-ports: {[4789, *some]}}}}}"


def ranges(random: Random) -> str:
    """Elements of an interval map, wider and narrower, few and many."""
    near = f"{random.randrange(4700, 4789)}-{random.randrange(4790, 4900)}"
    some = "".join(f", {port}-{port + 7}" for port in range(5000, random.choice((5050, 9000)), 10))
    return f"bypass:\n  - {{name: p, match: {{protocol: udp, paths: [in], destination-ports: [{near}{some}]}}}}"


def other_elements(changes: int, seed: int = 7) -> list[Table]:
    """Tables that differ in the elements of their sets and maps alone, of one kind after the other."""
    random = Random(seed)
    kinds = (lists, ports, ranges)
    return [compile_policy(policy(kind(random))) for kind in kinds for _ in range(changes // len(kinds))]


def test_no_packet_is_tracked_while_one_policy_follows_another(host: Namespace) -> None:
    check(go_through(host, all_policies(30), TAMPERINGS), 500_000)


def test_no_packet_is_tracked_while_elements_change(host: Namespace) -> None:
    tables = other_elements(12)
    assert sum(len(transactions(one, other)) > 1 for one, other in pairwise(tables)) == 2, "one kind follows another"
    check(go_through(host, tables), 300_000)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_no_packet_is_tracked_while_a_thousand_policies_follow_one_another(host: Namespace, seed: int) -> None:
    check(go_through(host, [*all_policies(60, seed), *other_elements(40, seed)], TAMPERINGS), 1_000_000)


def check(found: dict[str, int], fewest: int) -> None:
    assert found["untracked"] > fewest
    assert found["tracked"] == 0
    assert found["strayed"] == 0


@pytest.mark.parametrize("naively", ["a table deleted and added", "rules and new sets at once"])
def test_the_load_shows_a_gap_where_there_is_one(
    host: Namespace, naively: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (compile_policy(policy(POLICIES[name])) for name in ("a long list", "an entry renamed"))
    changed = host_of(host)
    changed.change(None, one)
    monkeypatch.setattr(transaction, "is_gapless_at_once", lambda _: True)
    with load(host):
        for _ in range(200):
            if naively == "a table deleted and added":
                kernel_of(host).commit(load_document(other))
            else:
                changed.change(changed.read(), other)
            one, other = other, one
            if seen(host)["tracked"]:
                break
    found = seen(host)
    print(found)
    assert found["untracked"] > 10_000
    assert found["tracked"] > 0
