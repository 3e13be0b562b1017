"""What tells our chains and ipsets from others'."""

from __future__ import annotations

from typing import Final

from ctpolicy.iptables.ruleset import Rule, Variant, Verdict, VerdictKind

BUILT_IN: Final = ("PREROUTING", "OUTPUT")
"""The chains of the raw table that the kernel enters. There is no other: `raw INPUT` does not exist."""

CHAIN_PREFIX: Final = "CTPOLICY-"

_SET_PREFIXES: Final = {Variant.LEGACY: "ctpolicy-", Variant.NFT: "ctpolicyn-"}
"""Both variants can name any ipset. Each has its own, so that what one has can go while the other's stays."""


def set_prefix(variant: Variant) -> str:
    """How the names of our ipsets begin that one variant's rules ask."""
    return _SET_PREFIXES[variant]


def is_of_tracks(name: str) -> bool:
    """Whether only track rules ask the set: `ctpolicy-t4-nodes`."""
    return name.partition("-")[2].startswith("t")


def is_gate(name: str) -> bool:
    """Whether the set lets everything by that is asked about behind it: `ctpolicy-g-pre-tcp-d`."""
    return name.partition("-")[2].startswith("g-")


def swapped_in_by(name: str) -> str:
    """The set that is there only while a larger one takes this one's place; see is_swap."""
    return name.partition("-")[0] + "-swap"


def is_swap(name: str) -> bool:
    """Whether a set was only to be swapped in. What a crash leaves of it is ours to remove."""
    return name.partition("-")[2] == "swap"


def chain_of(built_in: str) -> str:
    """The chain of ours to which a built-in one jumps."""
    return CHAIN_PREFIX + built_in


def jump(built_in: str) -> Rule:
    """The one rule of ours in a built-in chain; it stands first, before anything that decides."""
    return Rule((), Verdict(VerdictKind.JUMP, chain_of(built_in)), comment="ctpolicy")
