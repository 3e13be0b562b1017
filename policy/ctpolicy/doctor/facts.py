"""What was gathered of a host. What could not be seen is `Unseen`, with the reason, and never "nothing"."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family
from ctpolicy.plan.live import Live


@dataclass(frozen=True, slots=True)
class Unseen:
    """What could not be seen, and why, in a sentence."""

    why: str


class Trial(Enum):
    """What is tried out in a scratch namespace; the value is what it is called."""

    NF_TABLES = "nf_tables"
    NFT_NOTRACK = "notrack of nftables"
    NFT_FIB = "fib of nftables"
    CONNTRACK = "nf_conntrack"
    LEGACY_IPV4 = "iptables-legacy"
    LEGACY_IPV6 = "ip6tables-legacy"
    NFT_IPV4 = "iptables-nft"
    NFT_IPV6 = "ip6tables-nft"
    IPSET = "ip_set"
    MATCH_SET = "xt_set"


OF_IPTABLES: Final = {
    Trial.LEGACY_IPV4: (Variant.LEGACY, Family.IPV4),
    Trial.LEGACY_IPV6: (Variant.LEGACY, Family.IPV6),
    Trial.NFT_IPV4: (Variant.NFT, Family.IPV4),
    Trial.NFT_IPV6: (Variant.NFT, Family.IPV6),
}
"""Trials of a raw table with `-j CT --notrack`, and of the matches that we write."""

WORKS: Final = ""


class Tool(Enum):
    """Programs that are looked for; the value is their name."""

    NFT = "nft"
    IPTABLES_LEGACY = "iptables-legacy"
    IPTABLES_NFT = "iptables-nft"
    IP6TABLES_LEGACY = "ip6tables-legacy"
    IP6TABLES_NFT = "ip6tables-nft"
    IPSET = "ipset"
    CONNTRACK = "conntrack"


MODULES: Final = (
    "nf_conntrack", "nf_conntrack_netlink", "nf_tables", "nft_ct", "nft_fib", "nft_fib_inet", "ip_tables", "ip6_tables",
    "iptable_raw", "ip6table_raw", "xt_CT", "xt_set", "ip_set", "nf_flow_table", "br_netfilter",
    "openvswitch", "ip_vs", "act_ct",
)  # fmt: skip
"""Of the kernel, that are looked for by name. One that is built in need not have a name there."""


class Presence(Enum):
    """How a module is in the kernel."""

    LOADED = "loaded"
    BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the kernel's log.

    Args:
        when: seconds since 1970.
        text: what it says.
    """

    when: float
    text: str


@dataclass(frozen=True, slots=True)
class Log:
    """The kernel's log.

    Args:
        lines: those that were read.
        source: where.
    """

    lines: tuple[LogLine, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The network namespaces of the machine, as far as they can be seen.

    Args:
        number: how many were found.
        in_use: those in which conntrack has entries or has counted something: a name or a process, and the entries.
        unseen: in how many that could not be looked at.
        hidden: how many processes there are whose namespace may not be seen.
    """

    number: int
    in_use: Mapping[str, int] = field(default_factory=dict)
    unseen: int = 0
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Directory:
    """Who owns a directory, and its mode."""

    owner: int
    mode: int


@dataclass(frozen=True, slots=True)
class Unit:
    """The boot service.

    Args:
        path: where it is.
        enabled: whether systemd starts it.
    """

    path: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Own:
    """What ctpolicy has on the host.

    Args:
        state: the directory with what is remembered; None if there is none yet.
        state_path: where that is.
        unit: the boot service; None if it is not installed.
        runs_systemd: whether that is what boots this machine.
        unfinished: what is told of unfinished changes.
        inconsistent: whether the last change has left the host inconsistent.
        confirmed: backends that ought to have rules, by what was last confirmed.
        in_force: for each backend that has rules of ours live, why they are not in force; nothing if they are.
        user: whoever we are, by number.
    """

    state: Directory | Unseen | None
    state_path: str
    unit: Unit | Unseen | None = None
    runs_systemd: bool = False
    unfinished: tuple[str, ...] | Unseen = ()
    inconsistent: bool = False
    confirmed: tuple[str, ...] | Unseen = ()
    in_force: Mapping[str, tuple[str, ...]] | Unseen = field(default_factory=dict)
    user: int = 0


Save = str | None | Unseen
"""What a tool of iptables printed of all its tables; None if it has none, or is not installed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered.

    Args:
        release: of the kernel.
        now: seconds since 1970.
        namespace: the network namespace that was asked for; empty for the one that we are in.
        is_the_hosts: whether that is the machine's own.
        number: of it, as the kernel's log names it; 0 if that is not known.
        modules: of the kernel, those that are there by name.
        trials: what works, and why not; see WORKS.
        tools: what each says its version is; None if it is not installed.
        library: the version of libnftables.
        table: sizes, settings and statistics of conntrack.
        listing: `nft -j list ruleset`.
        texts: rules of nftables as nft writes them, by family, table and handle; empty without nft.
        saves: of iptables, by variant and family.
        live: what decides about tracking.
        log: the kernel's.
        namespaces: of the machine.
        ip_vs: the virtual services of IPVS; empty if there is none.
        own: what is ctpolicy's.
    """

    release: str
    now: float
    namespace: str
    is_the_hosts: bool
    number: int
    modules: Mapping[str, Presence]
    trials: Mapping[Trial, str] | Unseen
    tools: Mapping[Tool, str | None]
    library: str | Unseen
    table: TableFacts | Unseen
    listing: str | Unseen
    texts: Mapping[tuple[str, str, int], str]
    saves: Mapping[tuple[Variant, Family], Save]
    live: Live | Unseen
    log: Log | Unseen
    namespaces: Namespaces | Unseen
    ip_vs: str
    own: Own

    @property
    def where(self) -> str:
        """What commands of ours take to be about the same network namespace, with a space before it."""
        return f" --netns {shlex.quote(self.namespace)}" if self.namespace else ""
