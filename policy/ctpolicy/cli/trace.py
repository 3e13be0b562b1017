"""`ctpolicy trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ctpolicy.cli.host import backend_named, read_live
from ctpolicy.cli.options import as_json, backend, live_dump, netns, optional_policies, packet_of
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.cli.surroundings import surroundings
from ctpolicy.errors import HostError
from ctpolicy.hazards.trace import trace
from ctpolicy.hazards.trace_report import trace_json, trace_lines
from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.netfilter.backend import Backend
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.explain import explain_live
from ctpolicy.plan.live import Live


@click.command("trace")
@click.argument("packet")
@optional_policies
@netns
@live_dump
@backend
@as_json
def command(
    packet: str, policies: tuple[Path, ...], netns: str | None, live: Path | None, backend: str | None, as_json: bool
) -> None:
    """Follow one packet through every chain of the host.

    Each rule that it meets is told, of nftables and of both variants of iptables, as the packet is to conntrack now and
    as it would be with the policy: the first of a flow, an answer, or untracked. What ctpolicy's own rules do is said
    by whether the packet is untracked. Without a policy it is the way through the host as it is.

    \b
      sudo ctpolicy trace "in tcp 192.168.7.72:40000 -> 192.168.7.71:9100" examples/openshift-worker.yaml
      ctpolicy trace --live worker.json "in udp 192.168.7.72:40000 -> 192.168.7.71:4789" policy.yaml
    """
    asked, chosen = packet_of(packet), backend_named(backend)
    policy = load_files(policies) if policies else None
    there = read_live(netns, live, chosen)
    around = surroundings(there, netns)
    if around.damage:
        raise HostError(f"The packet cannot be followed: {around.damage}.")
    before = _is_untracked_now(chosen, asked, there)
    after = before if policy is None else _is_untracked_then(chosen, asked, there, policy)
    found = trace(around.rules, asked, untracked_before=before, untracked_after=after)
    if as_json:
        print_json(trace_json(found))
        return
    print_lines(trace_lines(found))
    print_lines(f"not known: {words}" for words in around.unknown)


def _is_untracked_now(backend: Backend[Any], packet: Packet, live: Live) -> bool:
    return bool(explain_live(backend, packet, live)[0].untracked)


def _is_untracked_then(backend: Backend[Any], packet: Packet, live: Live, policy: Policy) -> bool:
    is_ours = Meaning.of(policy).decide(packet).untracked
    return is_ours or any(bypass.is_certain for bypass in live.bypasses(backend, packet))
