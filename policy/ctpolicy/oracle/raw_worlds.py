"""The oracle with iptables: what a policy compiles to is put into both of its worlds by the backend itself."""

from __future__ import annotations

from ctpolicy.iptables.host import IptablesHost
from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import RawTables, Variant
from ctpolicy.oracle.worlds import Oracle


class RawOracle:
    """Two worlds whose raw tables are changed as a host's are, from what is there to what is wanted.

    Args:
        asked: the oracle; nothing of ours is there yet.
        variant: of iptables.
    """

    def __init__(self, asked: Oracle, variant: Variant) -> None:
        self.asked = asked
        self._hosts = [IptablesHost(IptablesTools(world.namespace.path), variant) for world in asked.worlds]
        self._live: RawTables | None = None
        self._is_known = True

    def change(self, desired: RawTables | None) -> RawTables | None:
        """Change both worlds alike; what is then read back from the first."""
        is_known, self._is_known = self._is_known, False  # a change that fails must not make all later ones fail
        for host in self._hosts:
            host.change(self._live if is_known else host.read(), desired)
        self._live = self._hosts[0].read()
        self._is_known = True
        return self._live
