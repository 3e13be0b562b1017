"""What is live, in the words of the policy: entries with their counters, and whether the bypass is in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ctpolicy.nftables.evaluate import CONNTRACK_PRIORITY
from ctpolicy.nftables.ruleset import Chain, Counter, Table
from ctpolicy.plan.plan import Plan
from ctpolicy.plan.ways import entry_chains

_HOOKS: Final = ("prerouting", "output")


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """One live entry and what its counter has seen."""

    name: str
    role: str
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """What is live.

    Args:
        entries: by role and name.
        faults: why the bypass is not, or not wholly, in force; empty if it is.
        plan: what applying the policy would do; None if no policy was given.
    """

    entries: tuple[EntryStatus, ...]
    faults: tuple[str, ...]
    plan: Plan | None = None

    @property
    def in_force(self) -> bool:
        """Whether packets are bypassed as the live entries say."""
        return not self.faults

    @property
    def drifted(self) -> bool | None:
        """Whether the live table is other than what the policy means; None if no policy was given."""
        return None if self.plan is None else bool(self.plan)


def status(live: Table | None, plan: Plan | None = None) -> Status:
    """What is live, held against a plan for the policy if there is one."""
    if live is None:
        return Status((), ("there is no table inet ctpolicy: nothing has been applied",), plan)
    return Status(tuple(_entries(live)), tuple(_faults(live)), plan)


def _entries(live: Table) -> Iterator[EntryStatus]:
    chains = {chain.name: chain for chain in live.chains}
    for (role, name), chain in sorted(entry_chains(live).items()):
        counters = [rule.counter or Counter() for rule in chains[chain].rules]
        yield EntryStatus(name, role, sum(c.packets for c in counters), sum(c.bytes for c in counters))


def _faults(live: Table) -> Iterator[str]:
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
    elif hook.policy != "accept":
        yield f"chain {chain.name} has the policy {hook.policy}: it drops what no entry concerns"
    if not chain.rules:
        yield f"chain {chain.name} has no rules"


def status_lines(found: Status) -> Iterator[str]:
    """The status as people read it."""
    yield "bypass in force" if found.in_force else "bypass NOT in force"
    yield from (f"  {fault}" for fault in found.faults)
    if found.drifted is not None:
        yield "live table differs from the policy: see `ctpolicy plan`" if found.drifted else "no drift from the policy"
    if found.entries:
        width = max(len(entry.name) for entry in found.entries)
        yield ""
        yield f"{'entry':<{width}}  role    {'packets':>12}  {'bytes':>15}"
        for entry in found.entries:
            yield f"{entry.name:<{width}}  {entry.role:<6}  {entry.packets:>12}  {entry.bytes:>15}"


def status_json(found: Status) -> dict[str, Any]:
    """The status as one object, by schemas/status-v1.schema.json."""
    return {
        "apiVersion": "ctpolicy.status/v1",
        "inForce": found.in_force,
        "faults": list(found.faults),
        "drift": found.drifted,
        "entries": [
            {"name": entry.name, "role": entry.role, "packets": entry.packets, "bytes": entry.bytes}
            for entry in found.entries
        ],
    }
