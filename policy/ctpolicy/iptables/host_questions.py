"""What a rule of iptables asks, in the form of hazards/rules.py, and what has to be known to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ctpolicy.hazards.rules import Asked, Open, Service, Within
from ctpolicy.hazards.situations import ALWAYS, Tracking
from ctpolicy.iptables.ruleset import End, IpSet
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.universe import FAMILIES

NOBODY: Final = Within(())
"""Holds for no packet; negated, for all."""

ADDRESS: Final = {End.SOURCE: Asked.SOURCE, End.DESTINATION: Asked.DESTINATION}
PORT: Final = {End.SOURCE: Asked.SOURCE_PORT, End.DESTINATION: Asked.DESTINATION_PORT}
INTERFACE: Final = {End.SOURCE: Asked.INCOMING, End.DESTINATION: Asked.OUTGOING}

OF_FAMILY: Final = {family: Within.single(Asked.FAMILY, FAMILIES.index(family)) for family in Family}


@dataclass(frozen=True, slots=True)
class Question:
    """What must hold for a match to hold.

    Args:
        fields: conditions on the packet.
        tracking: the condition on conntrack.
        open: what is not modelled.
        uses: what asking does by itself, whatever the answer: `-m connlimit` counts.
    """

    fields: tuple[Within, ...] = ()
    tracking: Tracking = ALWAYS
    open: tuple[Open, ...] = ()
    uses: tuple[Service, ...] = ()

    def __and__(self, other: Question) -> Question:
        return Question(
            self.fields + other.fields,
            self.tracking & other.tracking,
            self.open + other.open,
            self.uses + other.uses,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the host beside the rule.

    Args:
        family: of the table.
        sets: the ipsets whose elements are told, by name; those that rules fill are not among them.
        changing: the modules whose answers some rule of the host changes: `dscp`, where there is a `-j DSCP`.
    """

    family: Family
    sets: Mapping[str, IpSet] = field(default_factory=dict)
    changing: frozenset[str] = frozenset()
