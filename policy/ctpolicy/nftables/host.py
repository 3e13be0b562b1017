"""A running host for this backend: our table is read and changed through libnftables."""

from __future__ import annotations

from ctpolicy.nftables.kernel import Kernel
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table, read_text
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.transaction import transactions


class NftablesHost:
    """See netfilter.backend.Host.

    Args:
        kernel: the door to it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def read(self) -> Table | None:
        """Our table."""
        listing = self._kernel.table_listing()
        return find_table(read_text(listing), TABLE_FAMILY, TABLE_NAME) if listing else None

    def change(self, live: Table | None, desired: Table | None) -> None:
        """Carry the difference out, one transaction after the other; the first that fails is the last."""
        for transaction in transactions(live, desired):
            self._kernel.commit(transaction)
