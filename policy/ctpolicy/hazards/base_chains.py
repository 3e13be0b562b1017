"""Which base chains a packet meets at a hook, in the kernel's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.rules import Base, Chain, Hook, HostRules, Table
from ctpolicy.hazards.situations import Situation

_NAT_PRIORITIES: Final = {Hook.PREROUTING: -100, Hook.INPUT: 100, Hook.OUTPUT: -100, Hook.POSTROUTING: 100}
"""Where the kernel asks all chains of type nat, in the order of their own priorities (nf_nat_inet_fn, since 4.18)."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """A base chain and its table."""

    table: Table
    chain: Chain
    base: Base

    @property
    def priority(self) -> int:
        """Where packets come to it."""
        return _NAT_PRIORITIES.get(self.base.hook, self.base.priority) if self.base.is_nat else self.base.priority


def entrances(host: HostRules, hook: Hook, situation: Situation) -> list[Entrance]:
    """The base chains that packets in a situation meet at a hook, in order.

    Of chains with the same priority the order is that of their making, which no listing tells. It matters only for
    which rule of several is told, and for packet marks, which are not followed.
    """
    found = [one for one in _at(host, hook) if not one.base.is_nat or situation is Situation.NEW]
    return sorted(found, key=lambda one: (one.priority, one.base.priority))


def _at(host: HostRules, hook: Hook) -> Iterator[Entrance]:
    for table in host.tables:
        for chain in table.chains.values():
            if chain.base is not None and chain.base.hook is hook:
                yield Entrance(table, chain, chain.base)
