"""A plan: what applying a policy would do to one host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, TypeVar

from ctpolicy.hazards.between import Told
from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.backend import Backend, Json, Turn
from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.netfilter.shadow import Shadow
from ctpolicy.netfilter.treatment import Treatment, Untracked
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.consequences import NOT_LOOKED, Consequences, consequences, without_effect
from ctpolicy.plan.moved import Moved
from ctpolicy.plan.side import MOST_WORK, Side, compare, sides_of_change, sides_of_return
from ctpolicy.plan.standing import NO_OTHERS, TOO_MANY, Others, bypassed_by_others
from ctpolicy.plan.surroundings import Surroundings
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
        moved: the change in packets itself; None if it was not found, because it is too large.
        consequences: what would break.
        notes: what else there is to know about the host, line by line.
    """

    backend: Backend[Own]
    policy: str
    live: Own | None
    desired: Own | None
    entries: tuple[EntryChange, ...] = ()
    traffic: Traffic = NO_CHANGE
    others: Others = NO_OTHERS
    moved: Moved | None = field(default=None, compare=False)
    consequences: Consequences = NOT_LOOKED
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
    traffic, moved = _change(foreign, partial(sides_of_change, backend, policy, live, desired))
    changes = tuple(_entry_changes(backend, live, desired))
    return Plan(backend, policy.name, live, desired, changes, traffic, others, moved)


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
    traffic, moved = _change(foreign, partial(sides_of_return, backend, live, desired))
    return Plan(backend, "", live, desired, tuple(_entry_changes(backend, live, desired)), traffic, others, moved)


def with_consequences(
    plan: Plan[Own],
    around: Callable[[], Surroundings],
    beside: Beside,
    policy: Policy | None = None,
    told: Told = lambda _done, _of, _words: None,
    shadows: Callable[[], Iterable[Shadow]] = tuple,
) -> Plan[Own]:
    """The plan, with what it would break, and what of it would have no effect.

    Args:
        plan: itself.
        around: what bears upon that; a function, because a plan that changes no packet does not need it.
        beside: what others' rules on the host do.
        policy: that it is of; None for a removal, or a return.
        told: is told how far it is.
        shadows: what others' rules keep from ours.
    """
    if not plan:
        return plan
    in_vain = without_effect(policy, shadows)
    if plan.moved is not None and not plan.moved:
        return replace(plan, consequences=replace(plan.consequences, found=in_vain))

    def everything() -> Untracked:
        treatment = plan.backend.treatment(plan.desired) if policy is None else Treatment.of_space(bypass_space(policy))
        return (treatment & beside().treatment).untracked

    found = consequences(plan.moved, everything, around(), policy, told)
    return replace(plan, consequences=replace(found, found=(*found.found, *in_vain)))


def _foreign_within(beside: Beside) -> tuple[Foreign | None, Others]:
    """What others' rules do and bypass; None if it is more work than MOST_WORK."""
    try:
        with bounded(MOST_WORK):
            foreign = beside()
            return foreign, bypassed_by_others(foreign.bypasses)
    except TooLargeError:
        return None, TOO_MANY


def _change(foreign: Foreign | None, sides: Callable[[Foreign], tuple[Side, Side]]) -> tuple[Traffic, Moved | None]:
    """The change in words, and in packets; neither if it is too large."""
    if foreign is None:
        return TOO_LARGE, None
    try:
        with bounded(MOST_WORK):
            before, after = sides(foreign)
            return compare(before, after), Moved(before.untracked, after.untracked)
    except TooLargeError:
        return TOO_LARGE, None


def _entry_changes(backend: Backend[Own], live: Own | None, desired: Own | None) -> Iterator[EntryChange]:
    before, after = backend.marks(live), backend.marks(desired)
    for key in sorted(before.keys() | after.keys()):
        role, name = key
        if key not in after:
            yield EntryChange(name, role, Turn.REMOVED)
        elif before.get(key) != after[key]:
            yield EntryChange(name, role, Turn.CHANGED if key in before else Turn.ADDED)
