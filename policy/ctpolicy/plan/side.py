"""What can be compared with what: a policy, a saved listing, a live host. All become packets, and names for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.foreign import Foreign
from ctpolicy.netfilter.treatment import Treatment, Untracked
from ctpolicy.nftables.differing import treatments_where_they_differ
from ctpolicy.nftables.evaluate import Tracer
from ctpolicy.nftables.foreign import foreign
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import find_table
from ctpolicy.nftables.ruleset import Ruleset, Table
from ctpolicy.nftables.space import ruleset_treatment
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.traffic import TOO_LARGE, Names, Traffic, traffic_between
from ctpolicy.plan.ways import entry_of_chain

NOBODY: Final = Foreign.none()


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


def table_side(table: Table | None, beside: Foreign = NOBODY) -> Side:
    """Our table, or none, beside others' rules."""
    ours = () if table is None else (table,)
    return Side((ruleset_treatment(ours) & beside.treatment).untracked, _with_foreign(_entries(ours), beside))


def sides_of_change(policy: Policy, live: Table | None, desired: Table, beside: Foreign = NOBODY) -> tuple[Side, Side]:
    """Our live table, and a policy that has been compiled to a table, as far as they may differ.

    Elsewhere both sides are what others' rules do: a change is nearly always small, and its tables are not.
    """
    if live is None:
        return table_side(None, beside), policy_side(policy, beside)
    before, after = ((own & beside.treatment).untracked for own in treatments_where_they_differ(live, desired))
    meaning = Meaning.of(policy)
    return (
        Side(before, _with_foreign(_entries((live,)), beside)),
        Side(after, _with_foreign(lambda packet: meaning.decide(packet).bypassed_by, beside)),
    )


def ruleset_side(ruleset: Ruleset) -> Side:
    """All the tables of a host together. Packets are named after our entries, and after others' rules."""
    return table_side(find_table(ruleset, TABLE_FAMILY, TABLE_NAME), foreign(ruleset))


MOST_WORK: Final = 15_000_000
"""What a plan may do to tell its change in packets: some 15 s. 10,000 services with peers of their own take 2 million,
one list of 100,000 prefixes takes 7; 2,000 services and clients mixed, each with peers of its own, over 50."""


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


def _entries(ours: Ruleset) -> Names:
    tracers = [Tracer(table) for table in ours]
    return lambda packet: tuple(name for tracer in tracers if (name := _entry(tracer, packet)))


def _with_foreign(names: Names, foreign: Foreign) -> Names:
    """The entries, and the places of others' rules, that leave a packet untracked."""
    return lambda packet: (
        *names(packet),
        *(bypass.title for bypass in foreign.bypasses if packet in bypass.untracked.possibly),
    )


def _entry(tracer: Tracer, packet: Packet) -> str | None:
    """The entry of ours that leaves a packet untracked."""
    way = tracer.trace(packet)
    if not way.untracked or not way.steps:
        return None
    found = entry_of_chain(way.steps[-1].chain)
    return found[1] if found else None
