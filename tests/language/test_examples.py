"""Every example is a policy, by the schema and by meaning, and so is the one that the documentation shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from ctpolicy.language.load import load_files, load_text, merge
from ctpolicy.language.policy import Forward, HostClient, HostService, Match, Overlay, Ports
from ctpolicy.language.schema import policy_schema

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))

ALL_OF_THE_LANGUAGE = """
apiVersion: ctpolicy/v1
name: openshift-worker
description: what our workers keep out of conntrack

groups:                                   # names for addresses, ports, interfaces
  nodes: [192.168.7.0/24, "fd00:7::/64"]
  monitoring: [192.168.7.71, 10.0.8.0-10.0.8.15]
  metrics: [tcp/9100, tcp/9537, tcp/10250]
  blocklist: {file: nodes.txt}            # one per line, # comments; relative to the policy; for large lists

bypass:
  - name: vxlan
    description: disable conntrack for vxlan
    overlay: vxlan
    peers: nodes
  - name: node-metrics
    host-service: metrics
    peers: monitoring
  - name: upstream-dns
    host-client: [udp/53, tcp/53]
    peers: [192.168.7.53]
  - name: memcached-through-router
    forward: tcp/11211
    clients: 10.128.0.0/14
    servers: [10.0.9.0/24]
  - name: busy-udp
    ports: udp/20000-20999
    interfaces: [eth0, "bond*"]

track:                                    # never bypassed, whatever else is said
  - name: ssh
    host-service: tcp/22
  - name: service-network
    match: {destination: 172.30.0.0/16, both-ways: true}

protect: [tcp/22, tcp/6443]               # may not be bypassed by accident (default: tcp/22)

expect:                                   # unit tests that travel with the policy
  - untracked: in udp 192.168.7.72:40000 -> 192.168.7.71:4789
  - tracked: in tcp 10.9.9.9:5555 -> 192.168.7.71:22
"""


def by_schema(text: str) -> list[str]:
    """What the schema as it is shipped finds fault with, as an editor would."""
    return [error.message for error in Draft202012Validator(policy_schema()).iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_loads_and_is_met_by_the_schema(path: Path) -> None:
    policy = load_files([path])
    assert policy.name == path.stem
    assert policy.expect
    assert by_schema(path.read_text()) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_names_its_schema_for_editors(path: Path) -> None:
    marker, _, schema = path.read_text().partition("\n")[0].partition("$schema=")
    assert marker == "# yaml-language-server: "
    assert (path.parent / schema).resolve().is_file()


def test_there_are_six_examples() -> None:
    assert [path.stem for path in EXAMPLES] == [
        "dns-resolver",
        "kubernetes-node",
        "memcached-router",
        "ntp-server",
        "openshift-worker",
        "web-front-end",
    ]


def test_the_whole_language_loads(tmp_path: Path) -> None:
    (tmp_path / "nodes.txt").write_text("10.1.0.0/16   # a rack\n\nfd00:1::1\n")
    policy = load_text(ALL_OF_THE_LANGUAGE, directory=tmp_path)
    assert by_schema(ALL_OF_THE_LANGUAGE) == []
    kinds = {entry.name: type(entry) for entry in policy.entries()}
    assert kinds == {
        "busy-udp": Ports,
        "memcached-through-router": Forward,
        "node-metrics": HostService,
        "upstream-dns": HostClient,
        "vxlan": Overlay,
        "service-network": Match,
        "ssh": HostService,
    }


def test_files_read_together_are_the_merge_of_the_files() -> None:
    """Where no file needs a group of another, and `protect` and `expect` agree."""
    several = [path for path in EXAMPLES if path.stem in {"dns-resolver", "memcached-router"}]
    assert load_files(several) == merge(load_files([path]) for path in several)
