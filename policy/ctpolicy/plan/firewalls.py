"""All rules of a host that may need conntrack: those of nftables, and of iptables as its own tools list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.stateful import stateful_tables as tables_of_iptables
from ctpolicy.netfilter.stateful import StatefulTable
from ctpolicy.nftables.stateful import stateful_tables as tables_of_nftables
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.live import Live

Listing = tuple[Variant, Family, str]
"""What `iptables-save` or `ip6tables-save` of a variant has printed, all tables of it."""

_WORDS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}


def firewalls(live: Live, listings: Iterable[Listing]) -> tuple[StatefulTable, ...]:
    """Every table on a host but ours.

    Raises:
        HostError: a listing says that there is more than its tool can show.
        InputError: one is damaged.
    """
    found: list[StatefulTable] = []
    shown: set[tuple[str, str]] = set()
    for variant, family, text in listings:
        sets = live.raw.get(variant, RawTables()).sets
        for name, table in tables_of_iptables(text, family, variant, sets):
            found.append(table)
            if variant is Variant.NFT:
                shown.add((_WORDS[family], name))
    return (*found, *tables_of_nftables(live.tables, shown))
