"""`ctpolicy explain`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.cli.host import backend_named, read_live
from ctpolicy.cli.options import as_json, backend, live_dump, netns, no_ipset, optional_policies, packet_of
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.errors import InputError
from ctpolicy.language.load import load_files
from ctpolicy.plan.explain import explain_live, explain_policy, explanation_json, explanation_lines


@click.command("explain")
@click.argument("packet")
@optional_policies
@netns
@live_dump
@backend
@no_ipset
@as_json
def command(
    packet: str,
    policies: tuple[Path, ...],
    netns: str | None,
    live: Path | None,
    backend: str | None,
    no_ipset: bool,
    as_json: bool,
) -> None:
    """Say what decides a packet and its answer.

    Which entry and which rules, by a policy, or without one by the live ruleset, other people's tables included. A
    packet is written PATH PROTOCOL SOURCE[:PORT] -> DESTINATION[:PORT] [dev NAME], where PATH is in, forward or out.

    \b
      ctpolicy explain "in udp 192.168.7.72:40000 -> 192.168.7.71:4789" examples/openshift-worker.yaml
      sudo ctpolicy explain "out tcp [fd00:7::1]:9100 -> [fd00:7::2]:50000 dev eth0"
    """
    asked, chosen = packet_of(packet), backend_named(backend, not no_ipset)
    if policies:
        if netns is not None or live is not None:
            raise InputError("Either a policy or a live table (--netns, --live): not both.")
        both = explain_policy(chosen, asked, load_files(policies))
    else:
        both = explain_live(chosen, asked, read_live(netns, live, chosen))
    if as_json:
        packets = [explanation_json(explanation) for explanation in both]
        print_json({"apiVersion": "ctpolicy.explain/v1", "packet": packets[0], "answer": packets[1]})
        return
    for explanation in both:
        print_lines(explanation_lines(explanation))
