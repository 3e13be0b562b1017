"""Everything on a host that decides about tracking, whoever made it and with whatever tool."""

from __future__ import annotations

from dataclasses import dataclass

from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.foreign import foreign as foreign_tables
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.nftables.space import ruleset_treatment
from ctpolicy.plan.side import Side, own_side


@dataclass(frozen=True, slots=True)
class Live:
    """What was read of a host.

    Args:
        tables: of nftables.
    """

    tables: Ruleset = ()

    @property
    def table(self) -> Table | None:
        """Our nftables table, if there is one."""
        return find_table(self.tables, TABLE_FAMILY, TABLE_NAME)

    def foreign(self) -> Foreign:
        """What everything but ours does."""
        return foreign_tables(self.tables)

    def untracked(self) -> Untracked:
        """What all of it together leaves untracked."""
        return ruleset_treatment(self.tables).untracked


def live_side(live: Live) -> Side:
    """Everything on a host, as one side of a comparison; names are those of our entries and of others' rules."""
    return own_side(NFTABLES, live.table, live.foreign())
