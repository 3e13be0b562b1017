"""The reading of what bears upon hazards, of a host that runs."""

from __future__ import annotations

from dataclasses import replace

from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.errors import CtpolicyError, HostError
from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.namespaces import namespace_path
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.firewalls import Listing
from ctpolicy.plan.live import Live
from ctpolicy.plan.surroundings import Surroundings, surroundings_of, surroundings_of_dump


def read_listings(netns: str | None) -> tuple[list[Listing], list[str]]:
    """What each tool of iptables lists on a host, all tables of it; and why one cannot, in sentences."""
    tools = IptablesTools(namespace_path(netns) if netns else None)
    found: list[Listing] = []
    unread: list[str] = []
    for variant in Variant:
        for family in Family:
            try:
                text = tools.listing(variant, family)
            except HostError as error:
                unread.append(f"the rules of iptables-{variant.value} for {family.value} ({error})")
                continue
            if text:
                found.append((variant, family, text))
    return found, unread


def surroundings(live: Live, netns: str | None) -> Surroundings:
    """What bears upon hazards, of a running host or of what was saved of one."""
    if live.listings is not None:
        return surroundings_of_dump(live)
    listings, unread = read_listings(netns)
    found = surroundings_of(live, listings, _is_loose(netns))
    return replace(found, rules=found.rules | HostRules(unwalked=tuple(unread)))


def _is_loose(netns: str | None) -> bool | None:
    try:
        loose = KernelFacts(namespace_path(netns) if netns else None).facts().settings.get("tcp_loose")
    except CtpolicyError:
        return None
    return None if loose is None else loose != 0
