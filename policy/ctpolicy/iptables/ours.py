"""What tells our chains and ipsets from others'."""

from __future__ import annotations

from typing import Final

from ctpolicy.iptables.ruleset import Rule, Verdict, VerdictKind

BUILT_IN: Final = ("PREROUTING", "OUTPUT")
"""The chains of the raw table that the kernel enters. There is no other: `raw INPUT` does not exist."""

CHAIN_PREFIX: Final = "CTPOLICY-"
SET_PREFIX: Final = "ctpolicy-"


def chain_of(built_in: str) -> str:
    """The chain of ours to which a built-in one jumps."""
    return CHAIN_PREFIX + built_in


def jump(built_in: str) -> Rule:
    """The one rule of ours in a built-in chain; it stands first, before anything that decides."""
    return Rule((), Verdict(VerdictKind.JUMP, chain_of(built_in)), comment="ctpolicy")
