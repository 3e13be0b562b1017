"""All rules of a host in the form of hazards/rules.py: of nftables, and of iptables as its own tools list them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.host_rules import Listing, tool_name
from ctpolicy.iptables.host_rules import host_rules as rules_of_iptables
from ctpolicy.iptables.render import save_lines
from ctpolicy.iptables.ruleset import IpSet, RawTables, Variant
from ctpolicy.netfilter.owners import table_title
from ctpolicy.nftables.host_rules import host_rules as rules_of_nftables
from ctpolicy.nftables.ruleset import FLAGS
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.live import Live


def host_rules(live: Live, listings: Iterable[Listing]) -> HostRules:
    """Every table on a host, without our own rules.

    A table of iptables that its own tool cannot show, since somebody has put native rules into it, is read as nft
    shows it; what neither shows is told as not walked. That a table of iptables-nft is dormant only nft tells. Where
    iptables-legacy was asked for its raw tables alone, these are read, and that there may be others is told.

    Args:
        live: of the host.
        listings: of both variants and families, as far as there are such tools.

    Raises:
        InputError: a listing is damaged.
    """
    given = list(listings)
    raw_alone = list(_raw_alone(live, {(variant, family) for variant, family, _ in given}))
    listed = rules_of_iptables([*given, *raw_alone], _sets(live))
    dormant = {(table.family, table.name) for table in live.tables if any(one.kind == FLAGS for one in table.others)}
    kept = (replace(table, may_sleep=place in dormant) for place, table in listed.native.items())
    missing = sorted(listed.unshown - {(table.family, table.name) for table in live.tables})
    unwalked = (
        *live.unread,
        *listed.unknown,
        *(table_title(*place) for place in missing),
        *(f"{tool_name(variant, family)} tables but raw, which nobody has listed" for variant, family, _ in raw_alone),
    )
    return HostRules((*listed.legacy, *kept), unwalked) | rules_of_nftables(live.tables, listed.native)


def _raw_alone(live: Live, given: set[tuple[Variant, Family]]) -> Iterator[Listing]:
    """The raw tables of iptables-legacy that no listing shows; those of iptables-nft are among nft's."""
    for family, table in live.raw.get(Variant.LEGACY, RawTables()).tables.items():
        if (Variant.LEGACY, family) not in given:
            yield Variant.LEGACY, family, "\n".join(save_lines(table, family))


def _sets(live: Live) -> tuple[IpSet, ...]:
    """All ipsets, which the variants share."""
    found = {one.name: one for tables in live.raw.values() for one in tables.sets}
    return tuple(found.values())
