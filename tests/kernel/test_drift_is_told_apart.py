"""What is ours, broken by hand in each way that people and programs do: status names it, and apply mends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kernel.command_line import done, ran
from kernel.namespace import Namespace, make_namespace

pytestmark = pytest.mark.kernel

POLICY: Final = """
apiVersion: ctpolicy/v1
name: tested
groups:
  nodes: [192.168.7.0/24, 10.1.0.0/16]
bypass:
  - {name: metrics, host-service: tcp/9100, peers: nodes}
  - {name: busy, ports: udp/20000-20999, paths: [forward]}
track:
  - {name: services, match: {destination: 172.30.0.0/16, both-ways: true}}
"""

Told = set[tuple[str, str]]

OURS: Final = "inet ctpolicy"
HOOKED_ANEW: Final = (
    f"flush chain {OURS} output; delete chain {OURS} output; "
    f"add chain {OURS} output {{ type %s hook %s priority %s; policy %s; }}; "
    f"add rule {OURS} output ip saddr 172.30.0.0/16 goto track_services; "
    f"add rule {OURS} output ip daddr 172.30.0.0/16 goto track_services; "
    f"add rule {OURS} output meta l4proto vmap @output_protocols"
)
FLUSHED_UDP: Final = f"flush chain {OURS} prerouting_udp; "
TO_PORTS: Final = f"add rule {OURS} prerouting_udp udp dport vmap @prerouting_udp_dport_ranges; "
FROM_PORTS: Final = f"add rule {OURS} prerouting_udp udp sport vmap @prerouting_udp_sport_ranges; "
WHOLE_UDP: Final = FLUSHED_UDP + TO_PORTS + FROM_PORTS
WITHOUT_NODES: Final = "".join(
    f"flush chain {OURS} {chain}; "
    for chain in ("output_tcp_lo_dport_metrics", "output_tcp_sport_metrics", "prerouting_tcp_dport_metrics")
)

BY_NFT: Final[dict[str, tuple[str, Told]]] = {
    "the whole ruleset is flushed": ("flush ruleset", {("gone", f"table {OURS}")}),
    "the table is deleted": (f"delete table {OURS}", {("gone", f"table {OURS}")}),
    "the table is flushed": (f"flush table {OURS}", {("flushed", f"table {OURS}")}),
    "the table sleeps": (f"add table {OURS} {{ flags dormant; }}", {("edited", f"table {OURS}")}),
    "a rule is removed": (FLUSHED_UDP + TO_PORTS, {("removed", "chain prerouting_udp")}),
    "all rules of a chain are removed": (FLUSHED_UDP, {("flushed", "chain prerouting_udp")}),
    "a rule is added": (f"insert rule {OURS} output udp dport 53 accept", {("added", "chain output")}),
    "a rule is added that is not modelled": (
        f"insert rule {OURS} output meta mark 7 return",
        {("added", "chain output")},
    ),
    "a rule is edited": (
        f"{FLUSHED_UDP}add rule {OURS} prerouting_udp udp dport 20000-21000 notrack; {FROM_PORTS}",
        {("edited", "chain prerouting_udp")},
    ),
    "a notrack is taken out of an entry's rule": (
        f"flush chain {OURS} bypass_busy; add rule {OURS} bypass_busy counter accept",
        {("edited", "chain bypass_busy")},
    ),
    "rules change places": (FLUSHED_UDP + FROM_PORTS + TO_PORTS, {("re-ordered", "chain prerouting_udp")}),
    "rules change places, and another is added": (
        f"{FLUSHED_UDP}{FROM_PORTS}{TO_PORTS}add rule {OURS} prerouting_udp udp dport 53 accept",
        {("re-ordered", "chain prerouting_udp"), ("added", "chain prerouting_udp")},
    ),
    "a rule is there twice": (WHOLE_UDP + TO_PORTS, {("doubled", "chain prerouting_udp")}),
    "an element is removed": (
        f"delete element {OURS} nodes_v4 {{ 10.1.0.0/16 }}",
        {("removed", "set nodes_v4")},
    ),
    "an element is added": (f"add element {OURS} nodes_v4 {{ 10.9.9.9 }}", {("added", "set nodes_v4")}),
    "an element is another": (
        f"delete element {OURS} nodes_v4 {{ 10.1.0.0/16 }}; add element {OURS} nodes_v4 {{ 10.1.0.0/17 }}",
        {("edited", "set nodes_v4")},
    ),
    "a set is emptied": (f"flush set {OURS} nodes_v4", {("flushed", "set nodes_v4")}),
    "an element's verdict is another": (
        f"delete element {OURS} output_protocols {{ tcp }}; add element {OURS} output_protocols {{ tcp : return }}",
        {("edited", "map output_protocols")},
    ),
    "a set is added": (f"add set {OURS} theirs {{ type ipv4_addr; }}", {("added", "set theirs")}),
    "a set is removed": (
        f"{WITHOUT_NODES}delete set {OURS} nodes_v4",
        {
            ("removed", "set nodes_v4"),
            ("flushed", "chain output_tcp_lo_dport_metrics"),
            ("flushed", "chain output_tcp_sport_metrics"),
            ("flushed", "chain prerouting_tcp_dport_metrics"),
        },
    ),
    "a set is of another type": (
        f"{WITHOUT_NODES}delete set {OURS} nodes_v4; add set {OURS} nodes_v4 {{ type ipv4_addr; }}",
        {
            ("edited", "set nodes_v4"),
            ("flushed", "chain output_tcp_lo_dport_metrics"),
            ("flushed", "chain output_tcp_sport_metrics"),
            ("flushed", "chain prerouting_tcp_dport_metrics"),
        },
    ),
    "a chain is added": (
        f"add chain {OURS} theirs; add rule {OURS} theirs udp dport 53 accept",
        {("added", "chain theirs")},
    ),
    "a base chain is added": (
        f"add chain {OURS} theirs {{ type filter hook prerouting priority -310; }}",
        {("added", "chain theirs")},
    ),
    "a chain is removed": (
        f"delete element {OURS} prerouting_protocols {{ udp }}; {FLUSHED_UDP}delete chain {OURS} prerouting_udp",
        {("removed", "chain prerouting_udp"), ("removed", "map prerouting_protocols")},
    ),
    "a counter is added": (f"add counter {OURS} theirs", {("added", "counter theirs")}),
    "another hook": (HOOKED_ANEW % ("filter", "input", -300, "accept"), {("hook", "chain output")}),
    "no hook": (
        HOOKED_ANEW.replace(" { type %s hook %s priority %s; policy %s; }", ""),
        {("hook", "chain output")},
    ),
    "another priority": (HOOKED_ANEW % ("filter", "output", -150, "accept"), {("priority", "chain output")}),
    "another type": (HOOKED_ANEW % ("route", "output", -300, "accept"), {("type", "chain output")}),
    "another policy": (f"chain {OURS} output {{ policy drop; }}", {("policy", "chain output")}),
}

JUMP: Final = "-m comment --comment ctpolicy -j CTPOLICY-PREROUTING"
DPORTS: Final = (
    "-p udp -m udp --dport {0} -m addrtype ! --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST "
    "-m comment --comment busy -j CT --notrack"
)

# T is iptables of the variant, T6 ip6tables, S the prefix of the names of its sets.
BY_IPTABLES: Final[dict[str, tuple[str, Told]]] = {
    "the tables are flushed": (
        "T -t raw -F; T -t raw -X; T6 -t raw -F; T6 -t raw -X; destroy Sb4-nodes",
        {("gone", "iptables raw"), ("gone", "ip6tables raw")},
    ),
    "one family's table is flushed": ("T6 -t raw -F; T6 -t raw -X", {("gone", "ip6tables raw")}),
    "the chains are flushed": (
        "T -t raw -F CTPOLICY-PREROUTING; T -t raw -F CTPOLICY-OUTPUT",
        {("flushed", "iptables raw, all chains of ours")},
    ),
    "one chain is flushed": (
        "T -t raw -F CTPOLICY-OUTPUT",
        {("flushed", "iptables raw, chain CTPOLICY-OUTPUT")},
    ),
    "a jump is removed": (f"T -t raw -D PREROUTING {JUMP}", {("removed", "iptables raw, jump from PREROUTING")}),
    "a jump is there twice": (f"T -t raw -A PREROUTING {JUMP}", {("doubled", "iptables raw, jump from PREROUTING")}),
    "a jump is edited": (
        f"T -t raw -D PREROUTING {JUMP}; T -t raw -I PREROUTING -i eth0 {JUMP}",
        {("edited", "iptables raw, jump from PREROUTING")},
    ),
    "a jump is not first": (
        "T -t raw -I PREROUTING -p udp --dport 53 -j CT --notrack",
        {("re-ordered", "iptables raw, jump from PREROUTING")},
    ),
    "a rule before ours lets packets by": (
        "T -t raw -I PREROUTING -p udp --dport 20000:20099 -j ACCEPT",
        {("re-ordered", "iptables raw, jump from PREROUTING"), ("shadowed", "iptables raw, chain PREROUTING")},
    ),
    "another jump leads to ours": (
        "T -t raw -A OUTPUT -o eth0 -j CTPOLICY-OUTPUT",
        {("added", "iptables raw, jump from OUTPUT")},
    ),
    "a chain is removed": (
        "T -t raw -F OUTPUT; T -t raw -F CTPOLICY-OUTPUT; T -t raw -X CTPOLICY-OUTPUT",
        {("removed", "iptables raw, jump from OUTPUT"), ("removed", "iptables raw, chain CTPOLICY-OUTPUT")},
    ),
    "a chain is added": ("T -t raw -N CTPOLICY-THEIRS", {("added", "iptables raw, chain CTPOLICY-THEIRS")}),
    "a rule is removed": ("T -t raw -D CTPOLICY-OUTPUT 1", {("removed", "iptables raw, chain CTPOLICY-OUTPUT")}),
    "a rule is added": (
        "T -t raw -A CTPOLICY-OUTPUT -p udp --dport 53 -j CT --notrack",
        {("added", "iptables raw, chain CTPOLICY-OUTPUT")},
    ),
    "a rule is edited": (
        f"T -t raw -R CTPOLICY-PREROUTING 4 {DPORTS.format('20000:21000')}",
        {("edited", "iptables raw, chain CTPOLICY-PREROUTING")},
    ),
    "a rule is there twice": (
        f"T -t raw -A CTPOLICY-PREROUTING {DPORTS.format('20000:20999')}",
        {("doubled", "iptables raw, chain CTPOLICY-PREROUTING")},
    ),
    "rules change places": (
        "T -t raw -D CTPOLICY-OUTPUT 1; "
        "T -t raw -I CTPOLICY-OUTPUT 2 -s 172.30.0.0/16 -m comment --comment services -j RETURN",
        {("re-ordered", "iptables raw, chain CTPOLICY-OUTPUT")},
    ),
    "an element is removed": ("ipset del Sb4-nodes 10.1.0.0/16", {("removed", "ipset Sb4-nodes")}),
    "an element is added": ("ipset add Sb4-nodes 10.9.9.9", {("added", "ipset Sb4-nodes")}),
    "an element is another": (
        "ipset del Sb4-nodes 10.1.0.0/16; ipset add Sb4-nodes 10.2.0.0/16",
        {("edited", "ipset Sb4-nodes")},
    ),
    "a set is emptied": ("ipset flush Sb4-nodes", {("flushed", "ipset Sb4-nodes")}),
    "a set is added": ("ipset create Stheirs hash:ip", {("added", "ipset Stheirs")}),
    "a set is removed": (
        "T -t raw -F CTPOLICY-OUTPUT; T -t raw -F CTPOLICY-PREROUTING; destroy Sb4-nodes",
        {("flushed", "iptables raw, all chains of ours"), ("removed", "ipset Sb4-nodes")},
    ),
}

# A rule that iptables-nft has deleted lets go of its set a moment later.
DESTROY: Final = 'destroy() { for i in 1 2 3 4 5 6 7 8 9; do ipset destroy "$1" && return; sleep 0.1; done; }; '

SAMPLE: Final = {
    "legacy": {"the tables are flushed", "an element is another"},
    "nft": {*list(BY_IPTABLES)[::2], "the tables are flushed", "a jump is not first", "an element is another"},
}
"""What is asked about each time; the rest is left to the soak, because each costs some twenty calls of tools."""

SET_PREFIXES: Final = {"legacy": "ctpolicy-", "nft": "ctpolicyn-"}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies") / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """One host for all, because each breakage is mended."""
    with make_namespace() as scratch:
        yield scratch


def told(policy: Path, *where: str | Path) -> tuple[dict[str, Any], int]:
    """The status of the host as programs have it, and the exit status."""
    ended = ran("status", policy, *where, "--json", "--detailed-exitcode")
    return json.loads(ended.output), ended.status


def test_a_drop_of_somebody_elses_is_named_and_is_no_drift(policy: Path, namespace: Namespace) -> None:
    where = ("--netns", namespace.path)
    done("apply", policy, *where, "--yes")
    namespace.load(
        "table inet theirs { chain guard { type filter hook prerouting priority -310; udp dport 20005 drop; }; }"
    )
    broken, status = told(policy, *where)
    for shadow in broken["differences"]:  # of each family
        assert (shadow["kind"], shadow["object"]) == ("shadowed", "table inet theirs, chain guard")
        assert shadow["found"] == ["udp dport 20005 drop"]
    assert len(broken["differences"]) == 2
    assert (broken["drift"], broken["inForce"], status) == (False, True, 0)
    namespace.run("nft", "delete table inet theirs")
    assert told(policy, *where)[0]["differences"] == []


_standing: set[tuple[str | Path, ...]] = set()
"""Hosts and backends that have been applied to, and mended ever since."""


def check_told_and_mended(
    policy: Path, host: Namespace, where: tuple[str | Path, ...], script: Callable[[], object], expected: Told
) -> None:
    if where not in _standing:
        done("apply", policy, *where, "--yes")
        _standing.add(where)
    script()
    broken, pending = told(policy, *where)
    done("apply", policy, *where, "--yes")
    mended, clean = told(policy, *where)
    assert {(one["kind"], one["object"]) for one in broken["differences"]} == expected
    assert len(broken["differences"]) == len(expected)
    assert (broken["drift"], pending) == (True, 10)
    assert (mended["drift"], mended["differences"], mended["inForce"], clean) == (False, [], True, 0)


@pytest.mark.parametrize("breakage", BY_NFT)
def test_what_was_done_to_our_table_is_told_and_mended(breakage: str, policy: Path, host: Namespace) -> None:
    script, expected = BY_NFT[breakage]
    check_told_and_mended(policy, host, ("--netns", host.path), lambda: host.run("nft", script), expected)


@pytest.mark.parametrize(
    ("breakage", "variant"),
    [
        pytest.param(breakage, variant, marks=[] if breakage in SAMPLE[variant] else [pytest.mark.soak])
        for breakage in BY_IPTABLES
        for variant in SET_PREFIXES
    ],
)
def test_what_was_done_to_our_chains_is_told_and_mended(
    breakage: str, variant: str, policy: Path, host: Namespace
) -> None:
    where = ("--netns", host.path, "--backend", f"iptables-{variant}")
    script, expected = BY_IPTABLES[breakage]
    named = {(kind, of_variant(name, variant)) for kind, name in expected}
    check_told_and_mended(policy, host, where, lambda: by_hand(host, variant, script), named)


def by_hand(host: Namespace, variant: str, script: str) -> None:
    """Run a script in the tools' words."""
    tools = f'T() {{ iptables-{variant} "$@"; }}; T6() {{ ip6tables-{variant} "$@"; }}; '
    host.run("sh", "-c", f"set -e; {tools}{DESTROY}{of_variant(script, variant)}")


def of_variant(text: str, variant: str) -> str:
    """A script, or the name of an object, with the names of one variant's sets and tables."""
    for name in ("b4-nodes", "theirs"):
        text = text.replace(f"S{name}", SET_PREFIXES[variant] + name)
    return text.replace("tables raw", f"tables-{variant} raw")
