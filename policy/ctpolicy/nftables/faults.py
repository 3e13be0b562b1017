"""Why a live table of ours does not, or not wholly, do its work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.nftables.evaluate import CONNTRACK_PRIORITY
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.ruleset import Chain, Table

DEFRAGMENTATION_PRIORITY: Final = -400
"""NF_IP_PRI_CONNTRACK_DEFRAG: up to here a fragment comes alone, and all but the first have no ports."""

_HOOKS: Final = ("prerouting", "output")


def faults(live: Table | None) -> Iterator[str]:
    """What is wrong with it; nothing if it is in force."""
    if live is None:
        yield f"there is no table {TABLE_FAMILY} {TABLE_NAME}: nothing has been applied"
        return
    if any(other.kind == "flags" for other in live.others):
        # Which flags, nft 1.0.6 does not say.
        yield "the table has flags, which ctpolicy never sets: with `dormant`, no packet comes to it"
    chains = {chain.name: chain for chain in live.chains}
    if not any(name in chains for name in _HOOKS):
        yield "neither a chain prerouting nor a chain output is there"
    for name in _HOOKS:
        if name in chains:
            yield from _hook_faults(chains[name])


def _hook_faults(chain: Chain) -> Iterator[str]:
    hook = chain.hook
    if hook is None or hook.hook != chain.name or hook.type != "filter":
        yield f"chain {chain.name} does not hang on the hook {chain.name} as type filter"
    elif hook.priority >= CONNTRACK_PRIORITY:
        yield f"chain {chain.name} has priority {hook.priority}, which is not before conntrack ({CONNTRACK_PRIORITY})"
    elif hook.priority <= DEFRAGMENTATION_PRIORITY:
        yield (
            f"chain {chain.name} has priority {hook.priority}, which is not behind defragmentation "
            f"({DEFRAGMENTATION_PRIORITY}): it sees fragments, of which most have no ports"
        )
    elif hook.policy != "accept":
        yield f"chain {chain.name} has the policy {hook.policy}: it drops what no entry concerns"
    if not chain.rules:
        yield f"chain {chain.name} has no rules"
