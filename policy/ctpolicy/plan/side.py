"""What can be compared with what: a policy, a saved listing, a live host. All become packets, and names for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.owners import table_title
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.evaluate import Tracer
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.ruleset import Ruleset
from ctpolicy.nftables.space import ruleset_space, table_space
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.traffic import TOO_LARGE, Names, Traffic, traffic_between
from ctpolicy.plan.ways import entry_of_chain


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: what is untracked, and what leaves a packet so."""

    untracked: Untracked
    names: Names


def policy_side(policy: Policy) -> Side:
    """A policy, which is exact: what is possibly untracked is certainly so."""
    space, meaning = bypass_space(policy), Meaning.of(policy)
    return Side(Untracked(space, space), lambda packet: meaning.decide(packet).bypassed_by)


def ruleset_side(ruleset: Ruleset) -> Side:
    """All the tables of a host together. Packets are named after our entries, and after others' tables."""
    return Side(ruleset_space(ruleset), _ruleset_names(ruleset))


MOST_WORK: Final = 15_000_000
"""What a plan may do to tell its change in packets: some 15 s. 10,000 services with peers of their own take 2 million,
one list of 100,000 prefixes takes 7; 2,000 services and clients mixed, each with peers of its own, over 50."""


def compare_within(before: Callable[[], Side], after: Callable[[], Side], most: int = MOST_WORK) -> Traffic:
    """The same as `compare`, or TOO_LARGE if it is more than so much work."""
    try:
        with bounded(most):
            return compare(before(), after())
    except TooLargeError:
        return TOO_LARGE


def compare(before: Side, after: Side) -> Traffic:
    """What becomes untracked and what is tracked again, going from one side to the other."""
    return traffic_between(before.untracked, after.untracked, before.names, after.names)


def _ruleset_names(ruleset: Ruleset) -> Names:
    ours = [Tracer(table) for table in ruleset if (table.family, table.name) == (TABLE_FAMILY, TABLE_NAME)]
    others = [
        (table_title(table.family, table.name), table_space(table).possibly)
        for table in ruleset
        if (table.family, table.name) != (TABLE_FAMILY, TABLE_NAME)
    ]

    def names(packet: Packet) -> tuple[str, ...]:
        entries = [name for tracer in ours if (name := _entry(tracer, packet))]
        return (*entries, *(name for name, space in others if packet in space))

    return names


def _entry(tracer: Tracer, packet: Packet) -> str | None:
    """The entry of ours that leaves a packet untracked."""
    way = tracer.trace(packet)
    if not way.untracked or not way.steps:
        return None
    found = entry_of_chain(way.steps[-1].chain)
    return found[1] if found else None
