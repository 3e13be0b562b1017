"""A plan: what applying a policy would do to one host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from ctpolicy.errors import HostError
from ctpolicy.language.policy import Entry, Policy
from ctpolicy.nftables.change import Change, difference, is_ours
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.evaluate import Tracer
from ctpolicy.nftables.render_json import Json
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.transaction import removal, transaction
from ctpolicy.packetspace.packet import Packet
from ctpolicy.plan.ways import entry_chains, entry_ways
from ctpolicy.plan.witness import sample_packets


class Turn(Enum):
    """What becomes of an entry; the value is the sign that reports show."""

    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class Witness:
    """A packet that the live table and the desired one decide differently, and whether it becomes untracked."""

    packet: Packet
    untracked: bool


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One entry that a plan adds, removes, or gives other rules.

    Args:
        name: the entry's.
        role: `bypass` or `track`.
        turn: what becomes of it.
        witness: a packet that shows it, from among the entry's own; None if none of those does.
    """

    name: str
    role: str
    turn: Turn
    witness: Witness | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is live, what is desired, and what lies between.

    Args:
        policy: the policy's name; empty for a plan that removes everything.
        live: our table as it was read; None if there is none.
        desired: our table as it is to be; None to remove it.
        change: between the two; None if there is nothing to do, or everything to remove.
        entries: what becomes of the entries, by name.
    """

    policy: str
    live: Table | None
    desired: Table | None
    change: Change | None
    entries: tuple[EntryChange, ...]

    def __bool__(self) -> bool:
        return self.live != self.desired

    def document(self) -> Json:
        """The transaction that carries it out, as libnftables JSON."""
        if self.change is not None:
            return transaction(self.change)
        return removal(self.live) if self.live and not self.desired else {"nftables": []}


def plan_policy(policy: Policy, live: Table | None) -> Plan:
    """Plan to make a policy the live one.

    Raises:
        HostError: the live table is somebody else's.
    """
    refuse_foreign(live)
    desired = compile_policy(policy)
    change = difference(live, desired) if live != desired else None
    entries = tuple(_entry_changes(policy, live, desired)) if change else ()
    return Plan(policy.name, live, desired, change, entries)


def plan_removal(live: Table | None) -> Plan:
    """Plan to remove everything of ours.

    Raises:
        HostError: the live table is somebody else's.
    """
    refuse_foreign(live)
    gone = tuple(EntryChange(name, role, Turn.REMOVED) for role, name in (sorted(entry_chains(live)) if live else ()))
    return Plan("", live, None, None, gone)


def refuse_foreign(live: Table | None) -> None:
    """Raise HostError if a table of our name is there that ctpolicy did not make."""
    if live is not None and not is_ours(live):
        raise HostError(
            f"A table {live.family} {live.name} is there that ctpolicy did not make; it is left alone. If nobody needs "
            f"it, remove it with `nft delete table {live.family} {live.name}` and run this again."
        )


def _entry_changes(policy: Policy, live: Table | None, desired: Table) -> Iterator[EntryChange]:
    before = entry_ways(live) if live else {}
    after = entry_ways(desired)
    entries = {entry.name: entry for entry in policy.entries()}
    tracers = Tracer(live or Table(desired.family, desired.name)), Tracer(desired)
    for key in sorted(before.keys() | after.keys()):
        role, name = key
        if key not in after:
            yield EntryChange(name, role, Turn.REMOVED)
        elif before.get(key) != after[key]:
            turn = Turn.CHANGED if key in before else Turn.ADDED
            yield EntryChange(name, role, turn, _witness(entries[name], *tracers))


def _witness(entry: Entry, live: Tracer, desired: Tracer) -> Witness | None:
    """The first of an entry's sample packets that is decided differently."""
    for packet in sample_packets(entry):
        after = desired.trace(packet).untracked
        if after is not None and after != live.trace(packet).untracked:
            return Witness(packet, after)
    return None
