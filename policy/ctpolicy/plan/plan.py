"""A plan: what applying a policy would do to one host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial

from ctpolicy.errors import HostError
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.nftables.change import Change, difference, is_ours
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import Json
from ctpolicy.nftables.ruleset import Table
from ctpolicy.nftables.transaction import removal, transaction
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.side import MOST_WORK, Side, compare_sides_within, sides_of_change, table_side
from ctpolicy.plan.standing import NO_OTHERS, TOO_MANY, Others, bypassed_by_others
from ctpolicy.plan.traffic import NO_CHANGE, TOO_LARGE, Traffic
from ctpolicy.plan.ways import entry_chains, entry_ways


class Turn(Enum):
    """What becomes of an entry; the value is the sign that reports show."""

    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One entry that a plan adds, removes, or gives other rules.

    Args:
        name: the entry's.
        role: `bypass` or `track`.
        turn: what becomes of it.
    """

    name: str
    role: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class Plan:
    """What is live, what is desired, and what lies between.

    Args:
        policy: the policy's name; empty for a plan that removes everything.
        live: our table as it was read; None if there is none.
        desired: our table as it is to be; None to remove it.
        change: between the two; None if there is nothing to do, or everything to remove.
        entries: what becomes of the entries, by name.
        traffic: what becomes of packets.
        others: what other people's rules bypass, with this plan or without.
    """

    policy: str
    live: Table | None
    desired: Table | None
    change: Change | None
    entries: tuple[EntryChange, ...] = ()
    traffic: Traffic = NO_CHANGE
    others: Others = NO_OTHERS

    def __bool__(self) -> bool:
        return self.live != self.desired

    def document(self) -> Json:
        """The transaction that carries it out, as libnftables JSON."""
        if self.change is not None:
            return transaction(self.change)
        return removal(self.live) if self.live and not self.desired else {"nftables": []}


Beside = Callable[[], Foreign]
"""What others' rules on the host do: a function, because it may take more work than a plan is worth."""


def plan_policy(policy: Policy, live: Table | None, beside: Beside = Foreign.none) -> Plan:
    """Plan to make a policy the live one.

    Raises:
        HostError: the live table is somebody else's.
    """
    return plan_table(policy, compile_policy(policy), live, beside)


def plan_table(policy: Policy, desired: Table, live: Table | None, beside: Beside = Foreign.none) -> Plan:
    """The same, of a policy that has been compiled.

    Raises:
        HostError: the live table is somebody else's.
    """
    refuse_foreign(live)
    foreign, others = _foreign_within(beside)
    if live == desired:
        return Plan(policy.name, live, desired, None, others=others)
    traffic = _traffic(foreign, partial(sides_of_change, policy, live, desired))
    changes = tuple(_entry_changes(live, desired))
    return Plan(policy.name, live, desired, difference(live, desired), changes, traffic, others)


def plan_removal(live: Table | None, beside: Beside = Foreign.none) -> Plan:
    """Plan to remove everything of ours.

    Raises:
        HostError: the live table is somebody else's.
    """
    refuse_foreign(live)
    foreign, others = _foreign_within(beside)
    if live is None:
        return Plan("", None, None, None, others=others)
    gone = tuple(EntryChange(name, role, Turn.REMOVED) for role, name in sorted(entry_chains(live)))
    traffic = _traffic(foreign, lambda beside: (table_side(live, beside), table_side(None, beside)))
    return Plan("", live, None, None, gone, traffic, others)


def _foreign_within(beside: Beside) -> tuple[Foreign | None, Others]:
    """What others' rules do and bypass; None if it is more work than MOST_WORK."""
    try:
        with bounded(MOST_WORK):
            foreign = beside()
            return foreign, bypassed_by_others(foreign.bypasses)
    except TooLargeError:
        return None, TOO_MANY


def _traffic(foreign: Foreign | None, sides: Callable[[Foreign], tuple[Side, Side]]) -> Traffic:
    return TOO_LARGE if foreign is None else compare_sides_within(partial(sides, foreign))


def refuse_foreign(live: Table | None) -> None:
    """Raise HostError if a table of our name is there that ctpolicy did not make."""
    if live is not None and not is_ours(live):
        raise HostError(
            f"A table {live.family} {live.name} is there that ctpolicy did not make; it is left alone. If nobody needs "
            f"it, remove it with `nft delete table {live.family} {live.name}` and run this again."
        )


def _entry_changes(live: Table | None, desired: Table) -> Iterator[EntryChange]:
    before = entry_ways(live) if live else {}
    after = entry_ways(desired)
    for key in sorted(before.keys() | after.keys()):
        role, name = key
        if key not in after:
            yield EntryChange(name, role, Turn.REMOVED)
        elif before.get(key) != after[key]:
            yield EntryChange(name, role, Turn.CHANGED if key in before else Turn.ADDED)
