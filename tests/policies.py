"""Policies for tests, written as users write them."""

from __future__ import annotations

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.ruleset import Table


def policy(entries: str, name: str = "tested") -> Policy:
    """A policy from its `bypass:`, `track:` and other sections."""
    return load_text(f"apiVersion: ctpolicy/v1\nname: {name}\n{entries}")


def table(entries: str) -> Table:
    """The table that such a policy compiles to."""
    return compile_policy(policy(entries))


VXLAN = """
bypass:
  - name: vxlan
    overlay: vxlan
"""

METRICS = """
groups:
  nodes: [192.168.7.0/24, 10.1.0.0/16, "fd00:7::/64"]
bypass:
  - name: node-metrics
    host-service: [tcp/9100, tcp/9537]
    peers: nodes
track:
  - name: ssh
    host-service: tcp/22
"""
