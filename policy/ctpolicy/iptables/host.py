"""A running host for this backend: what is ours is read and changed through the tools."""

from __future__ import annotations

from ctpolicy.iptables.change import difference
from ctpolicy.iptables.kernel import Tools
from ctpolicy.iptables.own import own_part
from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.iptables.transaction import steps
from ctpolicy.packetspace.fields import Family


def read_raw_tables(tools: Tools, variant: Variant) -> RawTables:
    """All raw tables of one variant, and all ipsets, whoever they belong to.

    Raises:
        HostError: they cannot be read.
        DeadlineError: no answer in time.
    """
    tables = {}
    for family in Family:
        listing = tools.save(variant, family)
        table = read_raw_table(listing, family) if listing is not None else None
        if table is not None:
            tables[family] = table
    return RawTables(tables, read_sets(tools.sets() or ""))


class IptablesHost:
    """See netfilter.backend.Host.

    Args:
        tools: the door to the kernel.
        variant: whose tables are read and changed.
    """

    def __init__(self, tools: Tools, variant: Variant) -> None:
        self._tools = tools
        self._variant = variant

    def read(self) -> RawTables | None:
        """What is ours."""
        return own_part(read_raw_tables(self._tools, self._variant), self._variant)

    def change(self, live: RawTables | None, desired: RawTables | None) -> None:
        """Carry the difference out, step by step; the first step that fails is the last."""
        for step in steps(difference(live, desired)):
            if step.family is None:
                self._tools.restore_sets(step.text)
            else:
                self._tools.restore(self._variant, step.family, step.text)
