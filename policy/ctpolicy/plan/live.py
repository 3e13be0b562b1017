"""Everything on a host that decides about tracking, whoever made it and with whatever tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.foreign import foreign as foreign_rules
from ctpolicy.iptables.host_rules import Listing
from ctpolicy.iptables.own import own_part
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.shadows import shadows_around, shadows_beside
from ctpolicy.iptables.variants import Evidence, live_variants
from ctpolicy.netfilter.backend import Backend
from ctpolicy.netfilter.foreign import Foreign, PacketBypass
from ctpolicy.netfilter.shadow import Shadow
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.foreign import foreign as foreign_tables
from ctpolicy.nftables.foreign import packet_bypasses
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.nftables.shadows import shadows
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.side import Side, own_side

BOTH_VARIANTS: Final = "Both variants of iptables are in use, and the kernel runs both:"

_FAMILY_WORDS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}


@dataclass(frozen=True, slots=True)
class Live:
    """What was read of a host.

    Args:
        tables: of nftables.
        raw: what each variant of iptables has; one that has nothing may be left out.
        unread: what could not be read, and why, in sentences.
        has_ipset: whether there is ipset.
        listings: of a saved listing, what each tool of iptables had printed; None of a running host, which may be
            asked.
    """

    tables: Ruleset = ()
    raw: Mapping[Variant, RawTables] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    has_ipset: bool = True
    listings: tuple[Listing, ...] | None = None

    def own(self, backend: Backend[Any]) -> Any:
        """What a backend has there; None if nothing."""
        if isinstance(backend, IptablesBackend):
            return own_part(self.raw.get(backend.variant, RawTables()), backend.variant)
        return find_table(self.tables, TABLE_FAMILY, TABLE_NAME)

    def foreign(self, backend: Backend[Any]) -> Foreign:
        """What everything does but what a backend has there itself."""
        variant = backend.variant if isinstance(backend, IptablesBackend) else None
        native = tuple(self._native())
        rules = (foreign_rules(tables, one, with_ours=one is not variant) for one, tables in self.raw.items())
        return Foreign.together([foreign_tables(native, with_ours=variant is not None), *rules])

    def bypasses(self, backend: Backend[Any], packet: Packet) -> Iterator[PacketBypass]:
        """Whose rules leave one packet untracked, but for what the backend has there itself."""
        variant = backend.variant if isinstance(backend, IptablesBackend) else None
        yield from packet_bypasses(tuple(self._native()), packet, with_ours=variant is not None)
        for one, tables in self.raw.items():
            for bypass in foreign_rules(tables, one, with_ours=one is not variant).bypasses:
                if packet in bypass.untracked.possibly:
                    yield PacketBypass(bypass.title, packet in bypass.untracked.certainly)

    def shadows(self, backend: Backend[Any]) -> Iterator[Shadow]:
        """What others' rules keep from a backend's, whatever these say."""
        yield from shadows(tuple(self._native()))
        for one, tables in self.raw.items():
            is_own = isinstance(backend, IptablesBackend) and one is backend.variant
            yield from (shadows_around if is_own else shadows_beside)(tables, one)

    def _native(self) -> Iterator[Table]:
        """The tables of nftables, without those that iptables-nft keeps and shows better itself."""
        shown = self.raw.get(Variant.NFT, RawTables()).tables
        kept = {(_FAMILY_WORDS[family], "raw") for family in shown}
        return (table for table in self.tables if (table.family, table.name) not in kept)

    def variants(self) -> tuple[Evidence, ...]:
        """What shows which variants of iptables are in use."""
        return live_variants(self.raw)

    def untracked(self) -> Untracked:
        """What all of it together leaves untracked."""
        return (NFTABLES.treatment(self.own(NFTABLES)) & self.foreign(NFTABLES).treatment).untracked

    @property
    def has_both_variants(self) -> bool:
        """Whether both variants of iptables are in use."""
        return len({one.variant for one in self.variants()}) > 1

    def notes(self) -> Iterator[str]:
        """What whoever plans here should know."""
        if self.has_both_variants:
            yield BOTH_VARIANTS
            yield from (f"  {one}" for one in self.variants())
        yield from (f"Not read: {reason}" for reason in self.unread)


def live_side(live: Live) -> Side:
    """Everything on a host, as one side of a comparison; names are those of our entries and of others' rules."""
    return own_side(NFTABLES, live.own(NFTABLES), live.foreign(NFTABLES))
