"""What people would have written is what comes back: of each example, and of rules that are found in the field."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ctpolicy.importing.space_to_policy import Imported, import_untracked
from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Entry
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.space import ruleset_space, table_space
from kernel.namespace import Namespace
from policies import policy

EXAMPLES = Path(__file__).parents[2] / "examples"

KINDS = {
    "dns-resolver": ({"Ports": 1, "HostService": 1}, {}),
    "kubernetes-node": ({"Overlay": 3, "HostService": 1}, {"HostService": 1, "Match": 1}),
    "memcached-router": ({"Forward": 1}, {}),
    "ntp-server": ({"HostService": 1, "HostClient": 1}, {}),
    "openshift-worker": ({"Overlay": 1, "HostService": 1}, {"Match": 1}),
    "web-front-end": ({"HostService": 1}, {"HostService": 1}),
}
"""Of each example, how many bypass entries and track entries of which kinds: as many as it was written with."""


def kinds_of(entries: tuple[Entry, ...]) -> dict[str, int]:
    return dict(Counter(type(entry).__name__ for entry in entries))


def test_every_example_is_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_an_example_comes_back_in_the_kinds_that_it_was_written_in(name: str) -> None:
    written = load_files([EXAMPLES / f"{name}.yaml"])
    found = import_untracked(table_space(compile_policy(written)), "imported")
    assert found.is_complete
    assert (kinds_of(found.policy.bypass), kinds_of(found.policy.track)) == KINDS[name]
    assert (kinds_of(written.bypass), kinds_of(written.track)) == KINDS[name]


def test_all_but_a_few_peers_are_everyone_and_a_track_entry() -> None:
    text = _text(load_and_import("web-front-end"))
    assert "    host-service: tcp/80\n    peers: 192.0.2.64/28\n" in text
    assert "192.0.2.63" not in text


def test_all_but_a_few_protocols_are_every_protocol_and_track_entries() -> None:
    read = policy(
        "bypass:\n  - {name: uplink, match: {interfaces: [eth1], paths: [in, forward]}, acknowledge: tested}\n"
        "track:\n  - {name: tcp, match: {protocol: tcp, interfaces: [eth1], paths: [in, forward]}}\n"
        "  - {name: udp, match: {protocol: udp, interfaces: [eth1], paths: [in, forward]}}\n"
    )
    found = import_untracked(table_space(compile_policy(read)), "imported")
    assert found.is_complete
    assert [entry.name for entry in found.policy.bypass] == ["any-protocol"]
    assert sorted(entry.name for entry in found.policy.track) == ["tracked-tcp", "tracked-udp"]


def load_and_import(name: str) -> Imported:
    return import_untracked(table_space(compile_policy(load_files([EXAMPLES / f"{name}.yaml"]))), "imported")


def _text(imported: Imported) -> str:
    """The entries, without what stands before them."""
    return imported.text.partition("\nbypass:\n")[2]


TABLE = """
table {0} t {{
  chain p {{ type filter hook prerouting priority raw; {1}; }}
  chain o {{ type filter hook output priority raw; {2}; }}
}}
"""

FIELD = {
    "OpenShift OVN": (
        TABLE.format("inet", "udp dport 6081 notrack", "udp dport 6081 notrack"),
        "  - name: geneve\n    overlay: geneve\n    paths: [in, forward, out]\n",
    ),
    "the DNS recursor guides, both ports in both chains": (
        TABLE.format(
            "inet",
            *["; ".join(f"{protocol} {side} 53 notrack" for protocol in ("udp", "tcp") for side in ("dport", "sport"))]
            * 2,
        ),
        "  - name: tcp-53\n    ports: [tcp/53, udp/53]\n",
    ),
    # Beyond a service, its rules hold what is sent or forwarded to the address.
    "NodeLocal DNSCache": (
        TABLE.format(
            "ip",
            "ip daddr 169.254.20.10 meta l4proto { tcp, udp } th dport 53 notrack",
            "ip daddr 169.254.20.10 meta l4proto { tcp, udp } th dport 53 notrack; "
            "ip saddr 169.254.20.10 meta l4proto { tcp, udp } th sport 53 notrack",
        ),
        "  - name: tcp-53\n    host-service: [tcp/53, udp/53]\n    local: 169.254.20.10\n"
        "  - name: tcp-53-2\n    match:\n      destination-ports: [tcp/53, udp/53]\n      destination: 169.254.20.10\n",
    ),
    # No service: requests by `lo` are tracked, for the first rule does nothing, and forwarded ones are not.
    "a web front end": (
        TABLE.format("ip", 'iif "lo" notrack; tcp dport { 80, 443 } notrack', "tcp sport { 80, 443 } notrack"),
        "  - name: tcp-80\n    match:\n      paths: [in, forward]\n      destination-ports: [tcp/80, tcp/443]\n"
        "    families: [ipv4]\n"
        "  - name: from-tcp-80\n    match:\n      paths: [out]\n      source-ports: [tcp/80, tcp/443]\n"
        "    families: [ipv4]\n",
    ),
}


@pytest.mark.kernel
@pytest.mark.parametrize("whose", FIELD)
def test_field_rules_come_back_as_people_would_write_them(whose: str, namespace: Namespace) -> None:
    rules, entries = FIELD[whose]
    namespace.load(rules)
    listed = read_text(namespace.run("nft", "-j", "list", "ruleset").stdout)
    found = import_untracked(ruleset_space(listed), "imported")
    assert found.is_complete
    assert _text(found) == entries
