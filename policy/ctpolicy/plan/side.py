"""What can be compared with what: a policy, a saved listing, a live host. All become packets, and names for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.backend import Backend, Names
from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.netfilter.treatment import Treatment, Untracked
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.traffic import TOO_LARGE, Traffic, traffic_between

Own = TypeVar("Own")

NOBODY: Final = Foreign.none()

MOST_WORK: Final = 15_000_000
"""What a plan may do to tell its change in packets: some 15 s. 10,000 services with peers of their own take 2 million,
one list of 100,000 prefixes takes 7; 2,000 services and clients mixed, each with peers of its own, over 50."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: what is untracked, and what leaves a packet so."""

    untracked: Untracked
    names: Names


def policy_side(policy: Policy, beside: Foreign = NOBODY) -> Side:
    """A policy, which is exact by itself; beside others' rules, which drop packets or leave more untracked."""
    space, meaning = bypass_space(policy), Meaning.of(policy)
    alone = Untracked(space, space)
    untracked = (Treatment.of_space(space) & beside.treatment).untracked if beside != NOBODY else alone
    return Side(untracked, _with_foreign(lambda packet: meaning.decide(packet).bypassed_by, beside))


def own_side(backend: Backend[Own], own: Own | None, beside: Foreign = NOBODY) -> Side:
    """What a backend has on a host, or nothing, beside others' rules."""
    untracked = (backend.treatment(own) & beside.treatment).untracked
    return Side(untracked, _with_foreign(backend.deciding(own), beside))


def sides_of_change(
    backend: Backend[Own], policy: Policy, live: Own | None, desired: Own | None, beside: Foreign = NOBODY
) -> tuple[Side, Side]:
    """What is live of ours, and a policy that has been compiled, as far as they may differ.

    Elsewhere both sides are what others' rules do: a change is nearly always small, and what it changes is not.
    """
    if live is None or desired is None:
        return own_side(backend, live, beside), policy_side(policy, beside)
    before, after = sides_of_return(backend, live, desired, beside)
    meaning = Meaning.of(policy)
    return before, replace(after, names=_with_foreign(lambda packet: meaning.decide(packet).bypassed_by, beside))


def sides_of_return(
    backend: Backend[Own], live: Own | None, desired: Own | None, beside: Foreign = NOBODY
) -> tuple[Side, Side]:
    """The same of what is live and what is to be, whatever policy that was of."""
    if live is None or desired is None:
        return own_side(backend, live, beside), own_side(backend, desired, beside)
    before, after = ((own & beside.treatment).untracked for own in backend.differing(live, desired))
    return (
        Side(before, _with_foreign(backend.deciding(live), beside)),
        Side(after, _with_foreign(backend.deciding(desired), beside)),
    )


def compare_within(before: Callable[[], Side], after: Callable[[], Side], most: int = MOST_WORK) -> Traffic:
    """The same as `compare`, or TOO_LARGE if it is more than so much work."""
    return compare_sides_within(lambda: (before(), after()), most)


def compare_sides_within(sides: Callable[[], tuple[Side, Side]], most: int = MOST_WORK) -> Traffic:
    """The same, of two sides that are found together."""
    try:
        with bounded(most):
            return compare(*sides())
    except TooLargeError:
        return TOO_LARGE


def compare(before: Side, after: Side) -> Traffic:
    """What becomes untracked and what is tracked again, going from one side to the other."""
    return traffic_between(before.untracked, after.untracked, before.names, after.names)


def _with_foreign(names: Names, foreign: Foreign) -> Names:
    """The entries, and the places of others' rules, that leave a packet untracked."""
    return lambda packet: (
        *names(packet),
        *(bypass.title for bypass in foreign.bypasses if packet in bypass.untracked.possibly),
    )
