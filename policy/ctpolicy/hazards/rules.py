"""The rules of a host in one form, whichever tool wrote them: every table, every hook, of both backends.

`nftables/host_rules.py` and the reader of iptables make it, each from its own types, and walk.py follows it. It says
what rules do to packets and no more, and it says what is not modelled: a reader that does not understand a question
puts it into `open`, so that it holds for some packets and not for others; it never leaves it out, and never guesses.

    A table's rule `iifname "eth0" tcp dport 22 ct state new ct mark set 1 accept` is two steps, which share their rule:

        Step(rule, (Within(INCOMING, eth0), Within(PROTOCOL, 6), Within(DESTINATION_PORT, 22)), in_state("new"), (),
             Use(Service.CT_MARK))
        Step(the same, Decision(Verdict.ACCEPT))

How a reader makes steps:

1. A step is what one rule does at one place, with all that had to hold for it: conditions on the packet's fields, one
   on conntrack, and what is open. All of them must hold. A rule that only matches and counts is no step.
2. What a rule does in sequence is several steps in a row. All but the last let the packet go on.
3. A verdict map is a step for each element. No packet is in two of them, or what is told is that the first is found.
4. A question about a field that packets may not have is two conditions: `udp dport != 53` is PROTOCOL 17 and not
   DESTINATION_PORT 53. Address values mean something in one family alone, so FAMILY comes with them.
5. INCOMING and OUTGOING are interfaces as integers (packetspace/interface_values.py), 0 where there is none; they mean
   the hook's own, and views.py knows where these can be told. DESTINATION_TYPE is a number of `ADDRESS_TYPES`.
   ICMP_TYPE is the type's number, and needs PROTOCOL 1 or 58 beside it.
6. What may do anything is `anything(...)`: an open drop, then an open accept, and otherwise the next rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ctpolicy.hazards.questions import ADDRESS_TYPES as ADDRESS_TYPES  # the whole form can be had from here
from ctpolicy.hazards.questions import About as About
from ctpolicy.hazards.questions import Asked as Asked
from ctpolicy.hazards.questions import Open as Open
from ctpolicy.hazards.questions import Values as Values
from ctpolicy.hazards.questions import Within as Within
from ctpolicy.hazards.situations import ALWAYS, Tracking
from ctpolicy.packetspace.fields import Family


class Hook(Enum):
    """Where the kernel shows packets to rules, by netfilter's names."""

    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


class Verdict(Enum):
    """What becomes of a packet, by netfilter's words. A reject is a drop that is told to the sender."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"
    QUEUE = "queue"
    """A program decides: it may accept it, or drop it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The packet's way; `target` is the chain of a jump or goto."""

    verdict: Verdict
    target: str = ""


class Nat(Enum):
    """What a rule changes about the flows whose first packet it meets; the value is said of the rule."""

    SOURCE = "translates sources"
    MASQUERADE = "masquerades"
    DESTINATION = "translates destinations"
    REDIRECT = "redirects to this host"


@dataclass(frozen=True, slots=True)
class Translation:
    """The flow is translated from here on, and the packet has left the chain.

    Args:
        nat: how.
        to: the addresses, as the rule says; empty if none are told.
        port: the one port that it gets; None if it is not told, or stays.
    """

    nat: Nat
    to: str = ""
    port: int | None = None


class Service(Enum):
    """What a rule has of conntrack, or gives it, after which the packet goes on; the value is said of the rule."""

    NOTRACK = "leaves packets untracked"
    HELPER = "gives connections a helper"
    CT_MARK = "sets connection marks"
    RESTORED_MARK = "takes packet marks from connections"
    MARK = "sets packet marks"
    LABEL = "uses connection labels"
    LIMIT = "counts connections"
    ZONE = "gives connections a zone"
    OFFLOAD = "puts connections into a flow table"
    SYNPROXY = "answers in the place of servers, whose connections it has to see"
    TPROXY = "hands packets to a transparent proxy"
    TIMEOUT = "sets connections' timeouts"


@dataclass(frozen=True, slots=True)
class Use:
    """The packet, or its connection, gets something; it goes on to the next step."""

    service: Service


Action = Decision | Translation | Use


@dataclass(frozen=True, slots=True)
class Rule:
    """A live rule, for people: its own words and where it stands.

    Args:
        text: as its tool lists it, as nearly as is told; of a chain's policy, `policy drop`.
        tool: that lists it: `nft`, `iptables-nft`, `ip6tables-legacy` and their like.
        family: of the table, by nft's words: inet, ip, ip6.
        table: its name.
        chain: likewise.
        number: in its chain, from 1; 0 for the policy.
        handle: nft's; None where there is none.
        owner: the program that keeps it, if that is known.
    """

    text: str
    tool: str = "nft"
    family: str = "inet"
    table: str = ""
    chain: str = ""
    number: int = 0
    handle: int | None = None
    owner: str = ""

    @property
    def place(self) -> str:
        """Where it stands: `table inet firewall, chain input, rule 3 (handle 12)`."""
        table = f"table {self.family} {self.table}" if self.tool == "nft" else f"{self.tool} table {self.table}"
        known = f" ({self.owner})" if self.owner else ""
        at = f", rule {self.number}" if self.number else ""
        handle = f" (handle {self.handle})" if self.handle is not None else ""
        return f"{table}, chain {self.chain}{known}{at}{handle}"

    def __str__(self) -> str:
        return f"`{self.text}` in {self.place}"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing that a rule does, and all that must hold for it. Two steps are the same only if they are one object.

    Args:
        rule: whose it is.
        fields: conditions on the packet.
        tracking: the condition on conntrack.
        open: what else it asks that is not modelled: then it holds for some packets, and not for others.
        action: what it does.
    """

    rule: Rule
    fields: tuple[Within, ...]
    tracking: Tracking
    open: tuple[Open, ...]
    action: Action


@dataclass(frozen=True, slots=True)
class Base:
    """Where the kernel enters a chain.

    Args:
        hook: at which packets come.
        priority: lower ones come first.
        is_nat: whether it is of type nat: then only first packets of flows come, and not at its own priority.
        policy: what becomes of packets that come to its end: a step with ACCEPT or DROP.
    """

    hook: Hook
    priority: int
    is_nat: bool
    policy: Step


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps in order; a chain without a base is jumped to."""

    name: str
    steps: tuple[Step, ...] = ()
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Args:
        title: for people.
        families: of the packets that come there.
        chains: by name.
        may_sleep: whether it may be dormant, so that its chains see no packets.
    """

    title: str
    families: frozenset[Family]
    chains: Mapping[str, Chain] = field(default_factory=dict)
    may_sleep: bool = False


@dataclass(frozen=True, slots=True)
class HostRules:
    """All rules of a host, or of one tool on it; put together with `|`.

    Args:
        tables: that the walk follows.
        unwalked: titles of tables that have rules which it does not follow: of families bridge, arp and netdev, and
            what could not be read. They may do anything to packets.
    """

    tables: tuple[Table, ...] = ()
    unwalked: tuple[str, ...] = ()

    def __or__(self, other: HostRules) -> HostRules:
        return HostRules(self.tables + other.tables, self.unwalked + other.unwalked)


def anything(
    rule: Rule, fields: Iterable[Within], tracking: Tracking, questions: Iterable[Open], words: str
) -> Iterator[Step]:
    """The steps of a statement that may drop or accept the packet, or let it go on."""
    held, asked = tuple(fields), (*questions, Open(words))
    for verdict in (Verdict.DROP, Verdict.ACCEPT):
        yield Step(rule, held, tracking, asked, Decision(verdict))


def policy_step(rule: Rule, *, drops: bool) -> Step:
    """A base chain's policy."""
    return Step(rule, (), ALWAYS, (), Decision(Verdict.DROP if drops else Verdict.ACCEPT))
