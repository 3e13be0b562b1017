"""What of a host bears upon the hazards of a plan: all of its rules, and how conntrack is set there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.errors import CtpolicyError, HostError
from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.namespaces import namespace_path
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.consequences import Surroundings
from ctpolicy.plan.firewalls import Listing
from ctpolicy.plan.host_rules import host_rules
from ctpolicy.plan.live import Live

_LOOSE: Final = "nf_conntrack_tcp_loose"
_NO_IPTABLES: Final = "rules of iptables-legacy, which nft does not list"
_NO_NFT: Final = "tables of nftables, which iptables-save does not list"


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
    if live.listings is None:
        listings, unread = read_listings(netns)
        found = _surroundings(live, listings, _is_loose(netns))
        return replace(found, rules=found.rules | HostRules(unwalked=tuple(unread)))
    return replace(_surroundings(live, list(live.listings), None), unknown=tuple(_unknown(live)))


def _surroundings(live: Live, listings: list[Listing], is_loose: bool | None) -> Surroundings:
    try:
        return Surroundings(host_rules(live, listings), is_loose)
    except CtpolicyError as error:
        return Surroundings(is_loose=is_loose, damage=f"the rules of this host cannot be read: {error}")


def _unknown(live: Live) -> Iterator[str]:
    """What a saved listing does not have."""
    yield _NO_NFT if live.listings else _NO_IPTABLES
    yield f"whether {_LOOSE} is set, which only matters for what is tracked again"


def _is_loose(netns: str | None) -> bool | None:
    try:
        loose = KernelFacts(namespace_path(netns) if netns else None).facts().settings.get("tcp_loose")
    except CtpolicyError:
        return None
    return None if loose is None else loose != 0
