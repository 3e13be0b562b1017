"""The names of our objects. Each holds an underscore, which no entry's or group's name does, so none collide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.language.policy import Entry, Forward, Match, Policy, addresses_of
from ctpolicy.nftables.ruleset import Datatype
from ctpolicy.packetspace.fields import Family, protocol_name
from ctpolicy.packetspace.interfaces import Interfaces
from ctpolicy.packetspace.intervals import IntervalSet

Values = IntervalSet | Interfaces | tuple[str, ...]
"""What a named set can be made of: addresses or ports, exact names of interfaces, or nft's own words."""

TAKEN_BY_HOST: Final = ("anycast", "broadcast", "local", "multicast")
"""The types of destinations that this host itself takes: path in. The rest is path forward."""

_ADDRESS_TYPES: Final = {Family.IPV4: (Datatype.IPV4_ADDRESS, "v4"), Family.IPV6: (Datatype.IPV6_ADDRESS, "v6")}


def protocol_word(number: int) -> str:
    """An IP protocol as part of a name."""
    name = protocol_name(number)
    return f"protocol_{number}" if name.isdigit() else name


class SetNames:
    """Names for a policy's sets of values: by the group that they are, or else by the entry and key that give them.

    Equal values share one name, hence one set.
    """

    def __init__(self, policy: Policy) -> None:
        self._names: dict[tuple[Datatype, Values], str] = {(Datatype.ADDRESS_TYPE, TAKEN_BY_HOST): "taken_by_host"}
        for by_group in (True, False):
            for entry in policy.entries():
                self._add_entry(entry, by_group)

    def of(self, type: Datatype, values: Values) -> str:  # noqa: A002 (nft's word)
        """The name of these values."""
        return self._names[type, values]

    def _add_entry(self, entry: Entry, by_group: bool) -> None:
        for key, addresses in addresses_of(entry):
            if (addresses.group is not None) == by_group:
                stem = addresses.group or f"{entry.name}_{key}"
                for family, (datatype, suffix) in _ADDRESS_TYPES.items():
                    self._add(datatype, addresses.of(family), f"{stem}_{suffix}")
        if not by_group:
            for datatype, values, name in _unnamed(entry):
                self._add(datatype, values, name)

    def _add(self, type: Datatype, values: Values, name: str) -> None:  # noqa: A002
        self._names.setdefault((type, values), name)


def _unnamed(entry: Entry) -> Iterator[tuple[Datatype, Values, str]]:
    if not isinstance(entry, Forward):
        yield Datatype.INTERFACE, entry.interfaces, f"{entry.name}_interfaces"
    if isinstance(entry, Match):
        for box in entry.boxes:
            protocol = "any" if box.protocol is None else protocol_word(box.protocol)
            yield Datatype.PORT, box.source_ports, f"{entry.name}_source-ports_{protocol}"
            yield Datatype.PORT, box.destination_ports, f"{entry.name}_destination-ports_{protocol}"
