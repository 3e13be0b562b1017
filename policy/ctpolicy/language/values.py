"""What the values of keys mean, group names among them. Every mistake is told, and then the value is None.

Nodes of a shape that the schema refuses are passed over here without a word: the schema's stage tells them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from ctpolicy.language import addresses as address_forms
from ctpolicy.language import ports as port_forms
from ctpolicy.language.groups import Group, GroupKind, Groups
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.nodes import Node, Scalar, Sequence, scalars
from ctpolicy.language.policy import Addresses, ProtocolPorts
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.interfaces import Interfaces, is_interface_pattern

Member = TypeVar("Member", bound=Enum)
Value = TypeVar("Value")

EXPECTED_INTERFACE: Final = "an interface's name, up to 15 characters; a trailing `*` stands for the rest of one"


@dataclass(frozen=True, slots=True)
class Values:
    """Reads the values of keys, in the light of all groups."""

    groups: Groups
    mistakes: Mistakes

    def addresses(self, node: Node) -> Addresses | None:
        """One address, prefix, range or group, or a list of them."""
        items = self._some(node, "addresses", "the key left out, for any address")
        found = [self._address(item) for item in items]
        if not found or None in found:
            return None
        known = [item for item in found if item is not None]
        return known[0] if len(known) == 1 else _union(known)

    def _address(self, item: Scalar) -> Addresses | None:
        if not isinstance(item.value, str):
            return None
        if address_forms.looks_like_address(item.value) or item.value[:1].isdigit():
            found = self.mistakes.parsed(item, address_forms.parse_addresses)
            return address_forms.addresses_of([found]) if found else None
        if "/" in item.value:
            self.mistakes.tell(item, f"`{item.value[:40]}` is not an address", address_forms.EXPECTED)
            return None
        group = self._group(item, GroupKind.ADDRESSES, address_forms.EXPECTED)
        if group is None or group.addresses is None:
            return None
        return Addresses(group.addresses.ipv4, group.addresses.ipv6, item.value)

    def ports(self, node: Node) -> tuple[ProtocolPorts, ...] | None:
        """One `protocol/ports`, protocol without ports or group, or a list of them."""
        items = self._some(node, "ports", port_forms.EXPECTED)
        found = [self._ports(item) for item in items]
        if not found or None in found:
            return None
        return port_forms.merged(port for several in found for port in several or ())

    def _ports(self, item: Scalar) -> tuple[ProtocolPorts, ...] | None:
        if isinstance(item.value, str) and not port_forms.looks_like_ports(item.value):
            group = self._group(item, GroupKind.PORTS, port_forms.EXPECTED)
            return group.ports if group else None
        found = self.mistakes.parsed(item, port_forms.parse_ports)
        return (found,) if found else None

    def interfaces(self, node: Node) -> Interfaces | None:
        """One name, pattern or group of interfaces, or a list of them."""
        items = self._some(node, "interfaces", "the key left out, for any interface")
        found = [self._interfaces(item) for item in items]
        if not found or None in found:
            return None
        return Interfaces.of(pattern for several in found for pattern in several or ())

    def _interfaces(self, item: Scalar) -> tuple[str, ...] | None:
        if not isinstance(item.value, str):
            return None
        if item.value in self.groups.by_name:
            group = self._group(item, GroupKind.INTERFACES, EXPECTED_INTERFACE)
            return group.interfaces if group else None
        if item.value == "*":
            self.mistakes.tell(item, "`*` alone is every interface", "the key left out, for any interface")
        elif not is_interface_pattern(item.value):
            self.mistakes.tell(item, f"`{item.value[:40]}` cannot name an interface", EXPECTED_INTERFACE)
        else:
            return (item.value,)
        return None

    def members(self, node: Node, kind: type[Member]) -> frozenset[Member] | None:
        """A list of the members of an enumeration. What is none of them, the schema's stage tells."""
        by_value = {member.value: member for member in kind}
        found = [by_value.get(item.value) for item in scalars(node)]
        return frozenset(member for member in found if member) if found and None not in found else None

    def _some(self, node: Node, what: str, expected: str) -> list[Scalar]:
        if isinstance(node, Sequence) and not node.items:
            self.mistakes.tell(node, f"this list of {what} is empty", expected)
        return scalars(node)

    def _group(self, item: Scalar, kind: GroupKind, expected: str) -> Group | None:
        return self.groups.find(str(item.value), kind, item, self.mistakes, expected)


def _union(several: Iterable[Addresses]) -> Addresses:
    pairs = list(several)
    return address_forms.addresses_of(
        (family, interval) for addresses in pairs for family in Family for interval in addresses.of(family)
    )
