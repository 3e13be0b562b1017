"""ipsets in the making: the compiler asks for one by what it holds."""

from __future__ import annotations

from typing import Final

from ctpolicy.iptables.names import AddressNames, protocol_word, set_name
from ctpolicy.iptables.ours import set_prefix
from ctpolicy.iptables.prefixes import prefixes
from ctpolicy.iptables.ruleset import IpSet, Variant
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.boxes import Box, Role
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet

NET: Final = "hash:net"
PORT: Final = "bitmap:port"

FEWEST_ELEMENTS: Final = 65_536
"""ipset's own default for `maxelem`. A set that is to hold more gets twice what it needs, so that it can grow."""


def room_for(elements: int) -> int:
    """How many elements a set may hold that has so many now."""
    return FEWEST_ELEMENTS if elements <= FEWEST_ELEMENTS // 2 else 2 * elements


class SetMaker:
    """The ipsets of one policy, by name."""

    def __init__(self, policy: Policy, variant: Variant) -> None:
        self._variant = variant
        self._names = AddressNames(policy)
        self._sets: dict[str, IpSet] = {}
        self._ports: dict[tuple[Role, IntervalSet], str] = {}

    def addresses(self, role: Role, family: Family, values: IntervalSet) -> str | None:
        """The name of a set of these addresses; None if the policy has no such list, but a tree a part of one."""
        stem = self._names.stem(family, values)
        if stem is None:
            return None
        name = set_name(self._variant, role, "4" if family is Family.IPV4 else "6", stem)
        if name not in self._sets:
            most = room_for(sum(1 for _ in prefixes(values, family.bits)))
            self._sets[name] = IpSet(name, NET, family, values, most=most)
        return name

    def ports(self, box: Box, protocol: int, values: IntervalSet) -> str:
        """The name of a set of these ports; the first entry that has them names it."""
        if (box.role, values) not in self._ports:
            stem = f"{box.entry}_{protocol_word(protocol)}"
            self._ports[box.role, values] = self._new_port_set(set_name(self._variant, box.role, "p", stem), values)
        return self._ports[box.role, values]

    def gate(self, place: str, values: IntervalSet) -> str:
        """The name of a set of ports that anything is asked about at all. Gates of both families share a set."""
        name = f"{set_prefix(self._variant)}g-{place}"
        before = self._sets.get(name, IpSet(name, PORT))
        self._sets[name] = IpSet(name, PORT, None, IntervalSet.of([*before.values, *values]))
        return name

    def made(self) -> tuple[IpSet, ...]:
        """All of them, by name."""
        return tuple(self._sets[name] for name in sorted(self._sets))

    def _new_port_set(self, wanted: str, values: IntervalSet) -> str:
        name, number = wanted, 1
        while name in self._sets:
            number += 1
            name = f"{wanted[:28]}_{number}"
        self._sets[name] = IpSet(name, PORT, None, values)
        return name
