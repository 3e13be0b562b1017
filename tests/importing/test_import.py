"""What people would have written is what they get: kinds, presets, groups, tracks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctpolicy.importing.space_to_policy import Imported, import_untracked
from ctpolicy.language.load import load_files, load_text
from ctpolicy.language.policy import Forward, HostClient, HostService, Match, Overlay, Policy, Ports
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.ruleset import BaseHook, Chain, Notrack, Rule, Table, Unmodelled
from ctpolicy.nftables.space import ruleset_space, table_space
from policies import policy

EXAMPLES = Path(__file__).parents[2] / "examples"


def imported(read: Policy) -> Imported:
    return import_untracked(table_space(compile_policy(read)), "imported")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_imported_whole(path: Path) -> None:
    read = load_files([path])
    found = imported(read)
    assert found.is_complete
    assert bypass_space(load_text(found.text)) == bypass_space(read)


def test_the_openshift_example_is_an_overlay_and_a_host_service_and_a_tracked_network() -> None:
    found = imported(load_files([EXAMPLES / "openshift-worker.yaml"])).policy
    service, overlay = found.bypass
    assert isinstance(overlay, Overlay)
    assert overlay.name == "vxlan"
    assert isinstance(service, HostService)
    (network,) = found.track
    assert isinstance(network, Match)
    assert network.both_ways


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("overlay: geneve, peers: [192.0.2.0/24, 'fd00::/8']", Overlay),
        ("overlay: {protocol: udp, port: 9999}", Overlay),
        ("overlay: gre", Overlay),
        ("host-service: [tcp/80, udp/443], interfaces: ['eth*']", HostService),
        ("host-client: udp/53, peers: 192.0.2.53", HostClient),
        ("forward: tcp/11211, clients: 10.0.0.0/8, servers: 192.0.2.1", Forward),
        ("ports: udp/20000-20999", Ports),
        ("match: {paths: [in], protocol: '200', source: 192.0.2.1}", Match),
    ],
)
def test_one_entry_is_imported_as_one_entry_of_its_kind(entry: str, kind: type) -> None:
    read = policy(f"bypass:\n  - {{name: tested, {entry}}}\n")
    (found,) = imported(read).policy.bypass
    assert isinstance(found, kind)


def test_a_long_list_of_addresses_is_a_group() -> None:
    peers = [f"192.0.2.{number}" for number in range(0, 20, 2)]
    text = imported(policy(f"bypass:\n  - {{name: tested, host-service: tcp/80, peers: {peers}}}\n")).text
    assert "groups:\n  addresses-1:\n    - 192.0.2.0\n    - 192.0.2.2\n" in text
    assert "peers: addresses-1" in text


def test_protected_traffic_is_acknowledged() -> None:
    read = policy("bypass:\n  - {name: ssh, host-service: tcp/22, acknowledge: why not}\n")
    (found,) = imported(read).policy.bypass
    assert found.acknowledge == "was bypassed on the host when it was imported"


def test_all_but_one_interface_takes_a_track_entry() -> None:
    read = policy(
        "bypass:\n  - {name: web, host-service: tcp/80}\ntrack:\n  - {name: eth1, match: {interfaces: [eth1]}}\n"
    )
    found = imported(read)
    assert found.is_complete
    assert [entry.name for entry in found.policy.track] == ["tracked-any-protocol"]


def test_what_may_be_untracked_is_told_and_not_imported() -> None:
    rules = (Rule((Unmodelled('{"limit":{}}'), Notrack())),)
    table = Table("ip", "foreign", (Chain("raw", BaseHook("filter", "prerouting", -300), rules),))
    found = import_untracked(ruleset_space((table,)), "imported")
    assert not found.is_complete
    assert not bypass_space(found.policy)
    assert "# Not in this policy: untracked or not by what ctpolicy does not model" in found.text
    assert load_text(found.text) == found.policy


def test_what_no_entry_can_say_is_told_and_nothing_more_is_bypassed() -> None:
    from ctpolicy.packetspace.intervals import IntervalSet
    from ctpolicy.packetspace.space import PacketSpace
    from ctpolicy.packetspace.universe import Field

    nameless = PacketSpace.of_boxes([{Field.INTERFACE: IntervalSet(((1, 2),))}])
    found = import_untracked(Untracked(nameless, nameless), "imported")
    assert found.missing == nameless
    assert "# Not in this policy: untracked, but ctpolicy has no entry for it" in found.text
    assert not bypass_space(found.policy)
