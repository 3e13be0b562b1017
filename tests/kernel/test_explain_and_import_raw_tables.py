"""Others' raw tables through the command line: a packet's rule is named with its place and owner, and the rules come
back as a policy of exactly their packets; of a live host and of what its tools have saved.
"""

from __future__ import annotations

from pathlib import Path as File
from typing import Final

import pytest

from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.space import raw_space
from ctpolicy.language.load import load_text
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.fields import Family
from kernel.command_line import Ran, done, ran
from kernel.loaded_rules import Rules, loaded, save
from kernel.namespace import Namespace

pytestmark = [pytest.mark.kernel, pytest.mark.parametrize("variant", Variant, ids=lambda variant: variant.value)]

FILES: Final = File(__file__).parent.parent / "scenarios" / "foreign-iptables"

TRACKED: Final = "tracked: no entry of ours concerns it"

EXPLAINED: Final[dict[str, dict[str, str]]] = {
    "antrea": {
        "in udp 192.168.7.72:40000 -> 192.168.7.71:6081": "unknown: possibly {v4}, chain ANTREA-PREROUTING (Antrea)",
        "forward udp 192.168.7.72:40000 -> 10.10.0.9:6081": TRACKED,
        "forward tcp 10.9.9.9:4000 -> 198.51.100.7:80": "untracked: {v4}, chain ANTREA-PREROUTING (Antrea)",
        "forward tcp 198.51.100.7:80 -> 10.9.9.9:4000": "untracked: {v4}, chain ANTREA-PREROUTING (Antrea)",
        "forward tcp [fd00::7]:4000 -> [2001:db8::1]:80": "untracked: {v6}, chain PREROUTING (Antrea)",
    },
    "calico": {
        "in udp 10.0.0.5:40000 -> 10.0.0.1:4789": "untracked: {v4}, chain cali-PREROUTING (Calico)",
        "in udp [fd00::5]:40000 -> [fd00::1]:4789": "untracked: {v6}, chain cali-PREROUTING (Calico)",
        "in udp [fd01::5]:40000 -> [fd00::1]:4789": TRACKED,
        "out udp 10.0.0.1:40000 -> 10.0.0.5:4789": TRACKED,
        "out tcp 10.0.0.1:443 -> 10.0.0.5:4000 dev eth0": "untracked: {v4}, chain cali-to-host-endpoint (Calico)",
        "in tcp 10.0.0.5:4000 -> 10.0.0.1:443 dev eth0": (
            "unknown: possibly {v4}, chain cali-from-host-endpoint (Calico)"
        ),
        "in tcp 10.0.0.5:4000 -> 10.0.0.1:22 dev eth0": TRACKED,
    },
    "cilium": {
        "in udp 10.9.9.9:4000 -> 10.0.0.9:53": "untracked: {v4}, chain CILIUM_PRE_raw (Cilium)",
        "in tcp 10.9.9.9:4000 -> 10.0.0.1:443": "untracked: {v4}, chain CILIUM_PRE_raw (Cilium)",
        "out tcp 10.0.0.1:443 -> 10.9.9.9:4000": "untracked: {v4}, chain CILIUM_OUTPUT_raw (Cilium)",
        "out tcp 127.0.0.1:10500 -> 127.0.0.1:9 dev lo": "untracked: {v4}, chain CILIUM_OUTPUT_raw (Cilium)",
        "out tcp 127.0.0.1:10500 -> 127.0.0.1:9 dev eth0": TRACKED,
    },
    "dns-recursor": {
        "in udp [fd00::5]:53 -> [fd00::1]:4789": "untracked: {v6}, chain PREROUTING",
        "out udp 10.0.0.1:4789 -> 10.0.0.5:53": "untracked: {v4}, chain OUTPUT",
        "out tcp 10.0.0.1:4789 -> 10.0.0.5:53": TRACKED,
    },
    "docker": {
        "forward tcp 10.9.9.9:4000 -> 172.17.0.3:80 dev eth0": "untracked: {v4}, chain PREROUTING",
        "forward tcp 10.9.9.9:4000 -> 172.17.0.2:80 dev eth0": TRACKED,
        "forward tcp 10.9.9.9:4000 -> 172.17.0.2:80 dev docker0": "untracked: {v4}, chain PREROUTING",
    },
    "node-local-dns": {
        "out udp 10.9.9.9:4000 -> 169.254.20.10:53": "untracked: {v4}, chain OUTPUT (NodeLocal DNSCache)",
        "in tcp 10.9.9.9:4000 -> 169.254.20.10:53": "untracked: {v4}, chain PREROUTING (NodeLocal DNSCache)",
        "in tcp 10.9.9.9:4000 -> 169.254.20.10:8080": TRACKED,
    },
    "openshift-sdn": {
        "in udp 10.0.0.5:40000 -> 10.0.0.1:4789": "untracked: {v4}, chain OPENSHIFT-NOTRACK (OpenShift SDN)",
        "out udp 10.0.0.1:40000 -> 10.0.0.5:4789": "untracked: {v4}, chain OPENSHIFT-NOTRACK (OpenShift SDN)",
        "in udp [fd00::5]:40000 -> [fd00::1]:4789": TRACKED,
    },
    "proxmox": {
        "in tcp 10.9.9.9:4000 -> 10.0.0.9:21": TRACKED,
        "in tcp 10.9.9.9:4000 -> 10.0.0.9:22": "untracked: {v4}, chain PREROUTING",
        "out udp 10.0.0.9:4000 -> 10.9.9.9:53": "unknown: possibly {v4}, chain OUTPUT",
        "out udp 127.0.0.1:53 -> 127.0.0.1:4000 dev lo": TRACKED,
    },
    "synproxy": {
        "in tcp 10.9.9.9:4000 -> 10.0.0.9:80 dev eth0": "unknown: possibly {v4}, chain PREROUTING",
        "in tcp 10.9.9.9:4000 -> 10.0.0.9:443 dev eth1": "untracked: {v4}, chain PREROUTING",
        "in tcp 10.9.9.9:4000 -> 10.0.0.9:443 dev eth0": TRACKED,
    },
    "web-front-end": {
        "in tcp 10.9.9.9:4000 -> 10.0.0.9:443": "untracked: {v4}, chain PREROUTING",
        "out tcp 127.0.0.1:4000 -> 127.0.0.1:443 dev lo": TRACKED,
        "out tcp [fd00::1]:22 -> [fd00::5]:4000": "untracked: {v6}, chain OUTPUT",
        "out tcp [fd00::1]:443 -> [fd00::5]:4000": TRACKED,
    },
}

WITH_DOUBT: Final = {"antrea", "calico", "proxmox", "synproxy"}
"""They ask for a mark, for a source's type, for a user, for TCP's flags."""

of_every_file = pytest.mark.parametrize("name", EXPLAINED)


def test_every_file_is_here(variant: Variant) -> None:
    assert {file.stem for file in FILES.glob("*.rules")} == {*EXPLAINED, "everything"}, variant


@of_every_file
def test_packets_are_explained(name: str, variant: Variant, namespace: Namespace, tmp_path: File) -> None:
    places = {"v4": f"iptables-{variant.value} raw", "v6": f"ip6tables-{variant.value} raw"}
    with loaded(namespace, variant, Rules.of_file((FILES / f"{name}.rules").read_text())):
        dump = saved(namespace, variant, tmp_path)
        for packet, expected in EXPLAINED[name].items():
            explained = done("explain", packet, "--netns", namespace.path)
            assert explained.splitlines()[:2] == [packet, f"  {expected.format(**places)}"]
            assert done("explain", packet, "--live", dump) == explained


@of_every_file
def test_the_rules_come_back_as_a_policy_of_their_packets(
    name: str, variant: Variant, namespace: Namespace, tmp_path: File
) -> None:
    with loaded(namespace, variant, Rules.of_file((FILES / f"{name}.rules").read_text())) as tables:
        live = ran("import", "--netns", namespace.path)
        dump = saved(namespace, variant, tmp_path)
        means_the_same(live, tables)
        assert ran("import", dump) == live
        assert live.status == (8 if name in WITH_DOUBT else 0)
        policy = tmp_path / "imported.yaml"
        policy.write_text(live.output)
        if live.status == 0:
            assert ran("diff", "live", policy, "--netns", namespace.path).status == 0
            assert ran("diff", dump, policy).status == 0


def means_the_same(imported: Ran, tables: RawTables) -> None:
    """The policy has what is certainly untracked; that something is not certain is said."""
    untracked = raw_space(tables)
    assert untracked.certainly
    assert bypass_space(load_text(imported.output)) == untracked.certainly
    assert ("Not in this policy: untracked or not by what ctpolicy does not model" in imported.errors) == (
        untracked.certainly != untracked.possibly
    )
    assert bool(imported.errors) == (imported.status == 8)


def saved(host: Namespace, variant: Variant, directory: File) -> File:
    """What the three tools print, one after the other, in a file."""
    file = directory / "saved"
    parts = [*(save(host, variant, family) for family in Family), host.run("ipset", "save").stdout]
    file.write_text("".join(parts))
    return file
