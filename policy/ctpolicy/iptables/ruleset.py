"""iptables and ipset objects as data: what the compiler makes, the renderer prints and the reader parses back.

One `RawTables` is what one variant of iptables (legacy or nft) has in its raw tables, with the ipsets, which both
variants and both families share. Two are equal when the kernel would do the same by the same names; counters and the
spelling of a live rule, which belong to one host at one moment, do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet


class Variant(Enum):
    """Which iptables: each keeps rules that the other does not see, and the kernel runs both."""

    LEGACY = "legacy"
    NFT = "nft"


class End(Enum):
    """Which end of a packet is asked about. A multiport match may ask about either."""

    SOURCE = "source"
    DESTINATION = "destination"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Address:
    """`-s` or `-d`: a prefix, as the interval of its addresses."""

    end: End
    prefix: Interval
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressRange:
    """`-m iprange --src-range` or `--dst-range`."""

    end: End
    interval: Interval
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """`-i` (end SOURCE) or `-o` (DESTINATION): a name, or with `+` at its end whatever begins so."""

    end: End
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Protocol:
    """`-p`, by number."""

    number: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """`--sport` or `--dport` of the module that is named after the protocol (`-m udp`)."""

    module: str
    end: End
    interval: Interval
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Multiport:
    """`-m multiport`: at most 15 ports, of which a range takes two; as written, not sorted."""

    end: End
    intervals: tuple[Interval, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AddressType:
    """`-m addrtype --src-type` or `--dst-type`, by iptables' words: LOCAL, BROADCAST, ANYCAST, MULTICAST and others."""

    end: End
    types: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InSet:
    """`-m set --match-set NAME src,dst`: an end for each of the set's dimensions."""

    name: str
    ends: tuple[End, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class UnmodelledMatch:
    """A match that ctpolicy does not know, as iptables-save spells it (`-m mark --mark 0x1`)."""

    text: str


Match = Address | AddressRange | Interface | Protocol | Port | Multiport | AddressType | InSet | UnmodelledMatch


@dataclass(frozen=True, slots=True)
class Notrack:
    """`-j CT --notrack`, or the older `-j NOTRACK`: the packet stays untracked, and the next rule is asked."""


class VerdictKind(Enum):
    """What becomes of the packet, by iptables' words."""

    ACCEPT = "ACCEPT"
    DROP = "DROP"
    RETURN = "RETURN"
    JUMP = "jump"
    GOTO = "goto"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the packet; `chain` is where a jump (`-j`) or goto (`-g`) leads."""

    kind: VerdictKind
    chain: str | None = None


@dataclass(frozen=True, slots=True)
class UnmodelledTarget:
    """A target that ctpolicy does not know, as iptables-save spells it (`-j CT --zone 1`)."""

    text: str


Target = Notrack | Verdict | UnmodelledTarget


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches, all of which must hold, and what then becomes of the packet; without a target the rule only counts.

    Args:
        matches: in the order in which iptables-save prints them: `-s -d -i -o -p`, then modules as they were given.
        target: None for none.
        comment: of `-m comment`, None for none; its place among the matches is part of the spelling alone.
        packets: that the rule has counted; likewise `bytes`.
        spelling: the live rule's own words after `-A CHAIN`, which a deletion has to repeat; empty if it is not live.
    """

    matches: tuple[Match, ...] = ()
    target: Target | None = None
    comment: str | None = None
    packets: int = field(default=0, compare=False)
    bytes: int = field(default=0, compare=False)
    spelling: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. `policy` is a built-in chain's ACCEPT or DROP; None for a chain of somebody's own."""

    name: str
    rules: tuple[Rule, ...] = ()
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class RawTable:
    """The raw table of one family: its chains, sorted by name."""

    chains: tuple[Chain, ...] = ()

    def chain(self, name: str) -> Chain | None:
        """The chain of this name, if there is one."""
        return next((chain for chain in self.chains if chain.name == name), None)


@dataclass(frozen=True, slots=True, order=True)
class Joined:
    """An element of a set of several dimensions: `10.0.0.0/24,udp:53`. An interval for each; for a port also its
    protocol's number, as one of `protocols` at the same place (None where the dimension is no port).

    As ipset lists them: a network is one prefix, and a port one port, so that elements with a range are several. An
    interface is the interval of the names that it stands for (packetspace/interface_values.py)."""

    parts: tuple[Interval, ...]
    protocols: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class IpSet:
    """A set of the kernel's, which rules name by `-m set`.

    Args:
        name: at most 31 characters.
        type: ipset's: `hash:net`, `bitmap:port` and others.
        family: of its addresses; None for a type without addresses.
        values: the elements of a set of one dimension (addresses or ports), merged.
        elements: those of a set of several dimensions, sorted.
        live: the elements of a live set of addresses as the kernel has them, each a prefix, which a deletion has to
            repeat: two halves are as good as the whole, and something else to delete. No part of what it means.
        most: how many elements it may hold (`maxelem`, or the size of a bitmap:port's range); a set that needs more
            has to be made anew. No part of what it means.
        unmodelled: options and elements that ctpolicy does not know (`timeout`, `nomatch`), as ipset spells them, or
            the type itself; empty for none. What such a set holds cannot be told.
    """

    name: str
    type: str
    family: Family | None = None
    values: IntervalSet = field(default_factory=IntervalSet)
    elements: tuple[Joined, ...] = ()
    live: tuple[Interval, ...] = field(default=(), compare=False)
    most: int = field(default=0, compare=False)
    unmodelled: str = ""


@dataclass(frozen=True, slots=True)
class RawTables:
    """What one variant of iptables has in the raw tables of both families, and the ipsets.

    Args:
        tables: of each family that has a raw table; a family without one is not in it.
        sets: sorted by name.
    """

    tables: Mapping[Family, RawTable] = field(default_factory=dict)
    sets: tuple[IpSet, ...] = ()

    def set(self, name: str) -> IpSet | None:
        """The set of this name, if there is one."""
        return next((one for one in self.sets if one.name == name), None)
