"""nftables objects as data: what the compiler makes, the renderers print and the reader parses back.

Two tables are equal when the kernel would do the same with the same objects by the same names; handles and
counter values, which belong to one kernel at one moment, do not count. Objects are kept sorted by name, because
the kernel's own order differs between versions of nft (1.0.6 and 1.1.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ctpolicy.packetspace.intervals import Interval

RAW_PRIORITY: Final = -300
"""NF_IP_PRI_RAW: after defragmentation (-400), before conntrack (-200)."""

_JOINT: Final = " . "
"""Between the types of concatenated fields."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A field of a packet's header, by nft's words: `ip saddr`, `udp dport`."""

    protocol: str
    field: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What the kernel knows about a packet: `iifname`, `oifname`, `nfproto`, `l4proto`, and others."""

    key: str


@dataclass(frozen=True, slots=True)
class Fib:
    """What the routing tables say: `fib daddr type`."""

    result: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Several fields asked at once: `ip saddr . udp dport`."""

    parts: tuple[Payload | Meta | Fib, ...]


Selector = Payload | Meta | Fib | Concatenation


class Datatype(Enum):
    """The type of a selector's values, by nft's name for it."""

    IPV4_ADDRESS = "ipv4_addr"
    IPV6_ADDRESS = "ipv6_addr"
    PORT = "inet_service"
    PROTOCOL = "inet_proto"
    INTERFACE = "ifname"
    ADDRESS_TYPE = "fib_addrtype"


Value = Interval | str
"""Addresses, ports and protocols are intervals of integers; interface names and types of addresses are text."""


@dataclass(frozen=True, slots=True, order=True)
class Joined:
    """An element of concatenated fields: a value for each."""

    parts: tuple[Value, ...]


Element = Value | Joined


@dataclass(frozen=True, slots=True)
class SetReference:
    """A named set, as the right side of a match."""

    name: str


@dataclass(frozen=True, slots=True)
class AnonymousSet:
    """A set that stands in its rule. Elements are sorted."""

    elements: tuple[Element, ...]


Operand = Element | SetReference | AnonymousSet


@dataclass(frozen=True, slots=True)
class Match:
    """The rule goes on only for packets whose field is, or with `negated` is not, in the operand."""

    selector: Selector
    operand: Operand
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Counter:
    """Packets and bytes that came by; how many is not part of what the ruleset means."""

    packets: int = field(default=0, compare=False)
    bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Notrack:
    """The packet stays out of connection tracking; the rule goes on."""


class VerdictKind(Enum):
    """What becomes of the packet, by nft's words."""

    ACCEPT = "accept"
    DROP = "drop"
    CONTINUE = "continue"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the packet; `chain` is where a jump or goto leads."""

    kind: VerdictKind
    chain: str | None = None


ACCEPT: Final = Verdict(VerdictKind.ACCEPT)


@dataclass(frozen=True, slots=True)
class AnonymousMap:
    """A map from elements to verdicts that stands in its rule, sorted by element."""

    elements: tuple[tuple[Element, Verdict], ...]


@dataclass(frozen=True, slots=True)
class VerdictLookup:
    """The verdict that a map, named or in the rule, has for the packet's field; the rule goes on if it has none."""

    selector: Selector
    map: str | AnonymousMap


@dataclass(frozen=True, slots=True)
class Unmodelled:
    """A statement that ctpolicy does not know, as canonical JSON."""

    json: str


Statement = Match | Counter | Notrack | Verdict | VerdictLookup | Unmodelled


@dataclass(frozen=True, slots=True)
class Rule:
    """Statements, taken in order until one does not match or decides. `handle` is the live rule's, if it is live."""

    statements: tuple[Statement, ...]
    comment: str | None = None
    handle: int | None = field(default=None, compare=False)

    @property
    def counter(self) -> Counter | None:
        """The rule's counter, if it has one."""
        return next((s for s in self.statements if isinstance(s, Counter)), None)


@dataclass(frozen=True, slots=True)
class BaseHook:
    """Where the kernel enters a base chain."""

    type: str
    hook: str
    priority: int
    policy: str = "accept"
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order; a base chain has a hook, others are jumped to."""

    name: str
    hook: BaseHook | None = None
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Set:
    """A named set. Elements are sorted.

    Args:
        name: unique among the table's sets and maps.
        type: of the elements: a Datatype's name, or several of them joined by ` . `.
        flags: nft's: `interval` for one whose elements may be more than one value wide.
        elements: of the set.
        unmodelled: attributes that ctpolicy does not know, as canonical JSON; empty for none.
    """

    name: str
    type: str
    flags: frozenset[str] = frozenset()
    elements: tuple[Element, ...] = ()
    unmodelled: str = ""


@dataclass(frozen=True, slots=True)
class VerdictMap:
    """A named map from elements to verdicts, sorted by element. Arguments as for Set."""

    name: str
    type: str
    flags: frozenset[str] = frozenset()
    elements: tuple[tuple[Element, Verdict], ...] = ()
    unmodelled: str = ""


FLAGS: Final = "flags"
"""The kind of those `Other`s that are flags of the table itself."""


@dataclass(frozen=True, slots=True)
class Other:
    """An object of a kind that ctpolicy never makes (a named counter, a quota, a flow table, the flags of a table)."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table and all that is in it, each kind sorted by name."""

    family: str
    name: str
    chains: tuple[Chain, ...] = ()
    sets: tuple[Set, ...] = ()
    maps: tuple[VerdictMap, ...] = ()
    others: tuple[Other, ...] = ()

    def chain(self, name: str) -> Chain | None:
        """The chain of this name, if there is one."""
        return next((chain for chain in self.chains if chain.name == name), None)


Ruleset = tuple[Table, ...]


def key_types(selector: Selector) -> tuple[Datatype, ...] | None:
    """The types of the fields that a selector asks; None if one has none here."""
    types = [datatype(part) for part in (selector.parts if isinstance(selector, Concatenation) else (selector,))]
    known = tuple(found for found in types if found is not None)
    return known if len(known) == len(types) else None


def named_types(name: str) -> tuple[Datatype, ...]:
    """The types of a set's or map's elements by their name.

    Raises:
        ValueError: one is not modelled.
    """
    return tuple(Datatype(word) for word in name.split(_JOINT))


def types_name(types: Iterable[Datatype]) -> str:
    """The inverse of `named_types`."""
    return _JOINT.join(part.value for part in types)


def datatype(selector: Selector) -> Datatype | None:
    """The type of a selector's values; None for symbols, for what is concatenated and for what is not modelled."""
    match selector:
        case Payload("ip", "saddr" | "daddr"):
            return Datatype.IPV4_ADDRESS
        case Payload("ip6", "saddr" | "daddr"):
            return Datatype.IPV6_ADDRESS
        case Payload("tcp" | "udp" | "udplite" | "sctp" | "dccp" | "th", "sport" | "dport"):
            return Datatype.PORT
        case Meta("l4proto") | Payload("ip", "protocol") | Payload("ip6", "nexthdr"):
            return Datatype.PROTOCOL
        case Meta("iifname" | "oifname" | "iif" | "oif"):
            return Datatype.INTERFACE
        case Fib("type", _):
            return Datatype.ADDRESS_TYPE
    return None
