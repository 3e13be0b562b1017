"""A plan: what applying a policy would do to one host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.backend import Backend, Json, Turn
from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.side import MOST_WORK, Side, compare_sides_within, sides_of_change, sides_of_return
from ctpolicy.plan.standing import NO_OTHERS, TOO_MANY, Others, bypassed_by_others
from ctpolicy.plan.traffic import NO_CHANGE, TOO_LARGE, Traffic

Own = TypeVar("Own")


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
class Plan(Generic[Own]):
    """What is live, what is desired, and what lies between.

    Args:
        backend: that the policy was compiled for.
        policy: the policy's name; empty for a plan that removes everything, or returns to what was.
        live: what was read of ours; None if there is nothing.
        desired: what is to be there; None for nothing.
        entries: what becomes of the entries, by name.
        traffic: what becomes of packets.
        others: what other people's rules bypass, with this plan or without.
        notes: what else there is to know about the host, line by line.
    """

    backend: Backend[Own]
    policy: str
    live: Own | None
    desired: Own | None
    entries: tuple[EntryChange, ...] = ()
    traffic: Traffic = NO_CHANGE
    others: Others = NO_OTHERS
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.live != self.desired

    def document(self) -> Json:
        """The transactions that carry it out."""
        return self.backend.document(self.live, self.desired)


Beside = Callable[[], Foreign]
"""What others' rules on the host do: a function, because it may take more work than a plan is worth."""


def plan_policy(backend: Backend[Own], policy: Policy, live: Own | None, beside: Beside = Foreign.none) -> Plan[Own]:
    """Plan to make a policy the live one.

    Raises:
        HostError: what has our names on the host is somebody else's.
    """
    return plan_compiled(backend, policy, backend.compile(policy), live, beside)


def plan_compiled(
    backend: Backend[Own], policy: Policy, desired: Own | None, live: Own | None, beside: Beside = Foreign.none
) -> Plan[Own]:
    """The same, of a policy that has been compiled.

    Raises:
        HostError: what has our names on the host is somebody else's.
    """
    backend.refuse_foreign(live)
    foreign, others = _foreign_within(beside)
    if live == desired:
        return Plan(backend, policy.name, live, desired, others=others)
    traffic = _traffic(foreign, partial(sides_of_change, backend, policy, live, desired))
    changes = tuple(_entry_changes(backend, live, desired))
    return Plan(backend, policy.name, live, desired, changes, traffic, others)


def plan_removal(backend: Backend[Own], live: Own | None, beside: Beside = Foreign.none) -> Plan[Own]:
    """Plan to remove everything of ours; raises as plan_return does."""
    return plan_return(backend, live, None, beside)


def plan_return(
    backend: Backend[Own], live: Own | None, desired: Own | None, beside: Beside = Foreign.none
) -> Plan[Own]:
    """Plan to make live what was live before, whatever policy that was of.

    Raises:
        HostError: what has our names on the host is somebody else's.
    """
    backend.refuse_foreign(live)
    foreign, others = _foreign_within(beside)
    if live == desired:
        return Plan(backend, "", live, desired, others=others)
    traffic = _traffic(foreign, partial(sides_of_return, backend, live, desired))
    return Plan(backend, "", live, desired, tuple(_entry_changes(backend, live, desired)), traffic, others)


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


def _entry_changes(backend: Backend[Own], live: Own | None, desired: Own | None) -> Iterator[EntryChange]:
    before, after = backend.marks(live), backend.marks(desired)
    for key in sorted(before.keys() | after.keys()):
        role, name = key
        if key not in after:
            yield EntryChange(name, role, Turn.REMOVED)
        elif before.get(key) != after[key]:
            yield EntryChange(name, role, Turn.CHANGED if key in before else Turn.ADDED)
