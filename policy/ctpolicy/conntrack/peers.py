"""The addresses at the other side of a use, in bounded memory: how many, and a few prefixes that hold them all.

Up to MOST of them are kept as they are, then the networks that they are in, then nothing but how many there are, about.
"""

from __future__ import annotations

from math import log
from typing import Final

from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import IntervalSet

MOST: Final = 256
"""Addresses, and then networks, of one use; with conntrack.inventory.MOST_USES of these that is some 30 MB at worst."""

_NETWORK: Final = {Family.IPV4: 24, Family.IPV6: 64}
"""The length of the prefixes that are kept once there are too many addresses."""

_WIDEST: Final = {Family.IPV4: 20, Family.IPV6: 56}
"""The shortest prefix that is suggested: one that is shorter says little of who the peers are."""

_SLOTS: Final = 1 << 14
_SPREAD: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1


class Peers:
    """Addresses of one family, as integers."""

    __slots__ = ("_addresses", "_family", "_networks", "_slots")

    def __init__(self, family: Family) -> None:
        self._family = family
        self._addresses: set[int] | None = set()
        self._networks: set[int] | None = set()
        self._slots = bytearray()

    def add(self, address: int) -> None:
        """One more, or one that is there already."""
        if self._addresses is not None:
            self._addresses.add(address)
            if len(self._addresses) > MOST:
                self._count_only()
            return
        self._note(address)

    def _count_only(self) -> None:
        """Keep networks from now on, and how many addresses there are."""
        kept, self._addresses = self._addresses, None
        self._slots = bytearray(_SLOTS)
        for address in kept or ():
            self._note(address)

    def _note(self, address: int) -> None:
        mixed = (address ^ address >> 64) * _SPREAD & _WORD
        mixed = (mixed ^ mixed >> 32) * _SPREAD & _WORD  # once more: neighbours would be spread too evenly
        self._slots[mixed >> 50] = 1
        if self._networks is not None:
            self._networks.add(address >> self._family.bits - _NETWORK[self._family])
            if len(self._networks) > MOST:
                self._networks = None

    def together(self, other: Peers) -> Peers:
        """Those of both."""
        found = Peers(self._family)
        for one in (self, other):
            if one._addresses is not None:
                for address in one._addresses:
                    found.add(address)
        if self._addresses is not None and other._addresses is not None:
            return found
        if found._addresses is not None:
            found._count_only()
        for one in (self, other):
            if one._addresses is None:
                found._slots = bytearray(map(max, found._slots, one._slots))
                both = None if found._networks is None or one._networks is None else found._networks | one._networks
                found._networks = None if both is None or len(both) > MOST else both
        return found

    @property
    def is_exact(self) -> bool:
        """Whether `count` is exact, or an estimate (linear counting: Whang, Vander-Zanden and Taylor, 1990)."""
        return self._addresses is not None

    @property
    def count(self) -> int:
        """How many there are; beyond some 100,000, that many."""
        if self._addresses is not None:
            return len(self._addresses)
        return round(-_SLOTS * log(max(_SLOTS - sum(self._slots), 1) / _SLOTS))

    def prefixes(self, most: int) -> IntervalSet | None:
        """At most so many addresses, or networks that hold them all; None if those would have to be wide."""
        bits, length = self._family.bits, _NETWORK[self._family]
        if self._addresses is not None and len(self._addresses) <= most:
            return IntervalSet.of((address, address) for address in self._addresses)
        networks = self._networks
        if self._addresses is not None:
            networks = {address >> bits - length for address in self._addresses}
        if networks is None:
            return None
        found = [(network << bits - length, length) for network in sorted(networks)]
        while len(found) > most:
            at, joined = max(
                ((at, _joined(found[at], found[at + 1], bits)) for at in range(len(found) - 1)),
                key=lambda one: one[1][1],
            )
            found[at : at + 2] = [joined]
        if any(length < _WIDEST[self._family] for _, length in found):
            return None
        return IntervalSet.of((first, first | (1 << bits - length) - 1) for first, length in found)


def _joined(one: tuple[int, int], other: tuple[int, int], bits: int) -> tuple[int, int]:
    """The longest prefix that holds two prefixes, each as its first address and its length."""
    length = min(bits - (one[0] ^ other[0]).bit_length(), one[1], other[1])
    return one[0] >> bits - length << bits - length, length
