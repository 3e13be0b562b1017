"""Apply, on the real kernel: only what differs is written, and whatever somebody has done to our table is mended."""

from __future__ import annotations

import pytest

from ctpolicy.apply.commit import commit_plan
from ctpolicy.errors import HostError
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.plan import plan_policy, plan_removal
from kernel.live import apply_in, host_of
from kernel.namespace import Namespace
from policies import METRICS, VXLAN, policy

pytestmark = pytest.mark.kernel

TAMPERINGS = {
    "an element removed": "delete element inet ctpolicy prerouting_tcp_dport { 9100 }",
    "an element added": "add element inet ctpolicy nodes_v4 { 192.0.2.0/24 }",
    "an element with another verdict": (
        "delete element inet ctpolicy prerouting_tcp_dport { 9100 }; "
        "add element inet ctpolicy prerouting_tcp_dport { 9100 : goto bypass_node-metrics }"
    ),
    "a map emptied": "flush map inet ctpolicy output_protocols",
    "a chain emptied": "flush chain inet ctpolicy prerouting",
    "a table emptied": "flush table inet ctpolicy",
    "a rule put first": "insert rule inet ctpolicy prerouting ip saddr 192.0.2.1 drop",
    "a rule put last": "add rule inet ctpolicy output_tcp drop",
    "a rule with a match of another kind": "add rule inet ctpolicy output ct state established accept",
    "a chain added": "add chain inet ctpolicy stranger; add rule inet ctpolicy stranger drop",
    "a base chain added": "add chain inet ctpolicy late { type filter hook input priority 0; policy drop; }",
    "a set added": "add set inet ctpolicy strangers { type ipv4_addr; elements = { 192.0.2.1 }; }",
    "a set of another kind added": "add set inet ctpolicy pairs { type ipv4_addr . inet_service; }",
    "a counter added": "add counter inet ctpolicy mine",
    "a counter added, and a rule that counts with it": (
        "add counter inet ctpolicy mine; add rule inet ctpolicy prerouting counter name mine"
    ),
    "a map of counters added, and a rule that asks it": (
        "add counter inet ctpolicy mine; add map inet ctpolicy counters { type inet_service : counter; }; "
        'add element inet ctpolicy counters { 53 : "mine" }; '
        "add rule inet ctpolicy output_tcp counter name tcp dport map @counters"
    ),
    "a quota added": "add quota inet ctpolicy mine { over 5 mbytes; }",
    "a limit added": "add limit inet ctpolicy mine { rate 5/second; }",
    "a helper added": 'add ct helper inet ctpolicy mine { type "ftp" protocol tcp; }',
    "a timeout added": "add ct timeout inet ctpolicy mine { protocol tcp; policy = { established: 9 }; }",
    "a meter added": "add rule inet ctpolicy output_tcp meter m { ip saddr timeout 9s limit rate 5/second } accept",
    "a table put to sleep": "add table inet ctpolicy { flags dormant; }",
    "a chain of ours with a hook": (
        "flush map inet ctpolicy prerouting_protocols; flush chain inet ctpolicy prerouting_tcp; "
        "delete chain inet ctpolicy prerouting_tcp; "
        "add chain inet ctpolicy prerouting_tcp { type filter hook prerouting priority -300; }"
    ),
    "a map of our name that is a set": (
        "flush chain inet ctpolicy prerouting; delete map inet ctpolicy prerouting_protocols; "
        "add set inet ctpolicy prerouting_protocols { type inet_proto; elements = { 6 }; }; "
        "add rule inet ctpolicy prerouting meta l4proto @prerouting_protocols accept"
    ),
    "a priority that is too late": (
        "flush chain inet ctpolicy prerouting; delete chain inet ctpolicy prerouting; "
        "add chain inet ctpolicy prerouting { type filter hook prerouting priority -150; }"
    ),
    "another policy of a chain": "add chain inet ctpolicy output { policy drop; }",
    "a base chain without its hook": (
        "flush chain inet ctpolicy output; delete chain inet ctpolicy output; add chain inet ctpolicy output"
    ),
    "a set of our name but of another type": (
        "flush chain inet ctpolicy prerouting_tcp_dport_node-metrics; flush chain inet ctpolicy output_tcp_sport_node-metrics; "  # noqa: E501
        "flush chain inet ctpolicy output_tcp_lo_dport_node-metrics; delete set inet ctpolicy nodes_v4; "
        "add set inet ctpolicy nodes_v4 { type ipv4_addr; }"
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_apply_mends(tampering: str, namespace: Namespace) -> None:
    tested = policy(METRICS)
    apply_in(namespace, tested)
    namespace.run("nft", TAMPERINGS[tampering])
    host = host_of(namespace)
    assert plan_policy(NFTABLES, tested, host.read()), "the tampering was not seen"
    apply_in(namespace, tested)
    assert host.read() == compile_policy(tested)


def test_second_apply_writes_nothing(namespace: Namespace) -> None:
    apply_in(namespace, policy(METRICS))
    with_handles = namespace.run("nft", "-a", "list", "ruleset").stdout
    plan = apply_in(namespace, policy(METRICS))
    assert not plan
    assert plan.document() == {"nftables": []}
    assert namespace.run("nft", "-a", "list", "ruleset").stdout == with_handles


def test_counters_of_entries_that_stay_are_kept(namespace: Namespace) -> None:
    apply_in(namespace, policy("bypass: [{name: web, host-service: tcp/80}]"))
    namespace.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/80 || true", check=False)
    before = _packets(host_of(namespace).read(), "bypass_web")
    assert before > 0
    wider = "bypass: [{name: web, host-service: [tcp/80, tcp/8080-8090], peers: 127.0.0.0/8}, {name: b, ports: udp/1}]"
    apply_in(namespace, policy(wider))
    assert _packets(host_of(namespace).read(), "bypass_web") == before


def _packets(table: Table | None, chain: str) -> int:
    assert table is not None
    found = table.chain(chain)
    assert found is not None
    counter = found.rules[0].counter
    assert counter is not None
    return counter.packets


def test_one_changed_address_is_one_element_each_way(namespace: Namespace) -> None:
    def peers(last: int) -> str:
        addresses = ", ".join(f"10.0.{n}.0/25" for n in range(100)) + f", 192.0.2.{last}"
        return f"bypass: [{{name: web, host-service: tcp/80, peers: [{addresses}]}}]"

    apply_in(namespace, policy(peers(1)))
    document = apply_in(namespace, policy(peers(9))).document()
    where = {"family": "inet", "table": "ctpolicy", "name": "web_peers_v4"}
    assert document["nftables"] == [
        {"delete": {"element": where | {"elem": ["192.0.2.1"]}}},
        {"add": {"element": where | {"elem": ["192.0.2.9"]}}},
    ]


def test_remove_takes_our_table_and_no_other(namespace: Namespace) -> None:
    namespace.load("table inet other { chain c { type filter hook input priority 0; tcp dport 22 accept; }; }")
    before = namespace.ruleset()
    apply_in(namespace, policy(VXLAN))
    host = host_of(namespace)
    commit_plan(plan_removal(NFTABLES, host.read()), host)
    assert namespace.ruleset() == before
    assert not plan_removal(NFTABLES, host.read())


def test_a_table_of_our_name_that_is_not_ours_is_left_alone(namespace: Namespace) -> None:
    namespace.load("table inet ctpolicy { chain c { type filter hook input priority 0; tcp dport 22 accept; }; }")
    before = namespace.ruleset()
    live = host_of(namespace).read()
    with pytest.raises(HostError, match="nft delete table inet ctpolicy"):
        plan_policy(NFTABLES, policy(VXLAN), live)
    with pytest.raises(HostError, match="nft delete table inet ctpolicy"):
        plan_removal(NFTABLES, live)
    assert namespace.ruleset() == before


def test_an_empty_table_of_our_name_is_taken_over(namespace: Namespace) -> None:
    namespace.load("table inet ctpolicy { }")
    apply_in(namespace, policy(VXLAN))
    assert host_of(namespace).read() == compile_policy(policy(VXLAN))


def test_what_compile_prints_loads_and_is_what_apply_would_make(namespace: Namespace) -> None:
    tested = policy(METRICS)
    for _ in range(2):  # over itself, too
        namespace.load(text(compile_policy(tested)))
        assert not plan_policy(NFTABLES, tested, host_of(namespace).read())
