"""How conntrack shows a packet to rules, and for which of those a question about conntrack holds.

A rule that asks conntrack gets its answer from a packet's situation alone, as far as that tells: `ct state` always; a
direction or a status often; a mark or a helper never, but that a packet without an entry has none. nftables leaves a
rule at any question but that for the state if there is no entry, negated or not (nft_ct_get_eval). `-m conntrack`
does so too, but where a state is asked and fits it looks at nothing else then (conntrack_mt, Linux 6.18).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Situation(Enum):
    """What a packet is to conntrack once that has seen it."""

    NEW = "new"
    """The first of a flow: the only one that NAT chains see."""
    ESTABLISHED = "established"
    """A later one of a flow that was answered, in the direction of the first."""
    REPLY = "reply"
    """One in the other direction."""
    RELATED = "related"
    """An ICMP error about a flow that is tracked."""
    UNTRACKED = "untracked"
    """One that a `notrack` was said of."""
    INVALID = "invalid"
    """One that fits no entry and makes none: an ICMP error about a flow that is not tracked, or a SYN/ACK whose SYN
    was not."""


Situations = frozenset[Situation]

ALL: Final[Situations] = frozenset(Situation)
WITH_ENTRY: Final[Situations] = ALL - {Situation.UNTRACKED, Situation.INVALID}
"""Those in which there is an entry that a rule can ask about."""

_STATES: Final = {
    Situation.NEW: "new",
    Situation.ESTABLISHED: "established",
    Situation.REPLY: "established",
    Situation.RELATED: "related",
    Situation.UNTRACKED: "untracked",
    Situation.INVALID: "invalid",
}
_DIRECTIONS: Final = {Situation.NEW: "original", Situation.ESTABLISHED: "original", Situation.REPLY: "reply"}

_TWO_WAYS: Final = {"seen-reply": True, "confirmed": True, "dying": False}
_STATUS: Final[dict[Situation, dict[str, bool]]] = {
    # What goes through `lo` is confirmed at postrouting, before it comes in.
    Situation.NEW: {"seen-reply": False, "assured": False, "dying": False},
    Situation.ESTABLISHED: _TWO_WAYS,
    Situation.REPLY: _TWO_WAYS,
    Situation.RELATED: {"confirmed": True, "dying": False},
}
"""What the status of an entry has in a situation, as far as that tells. (What was expected, which flows are translated
and which are assured, it does not tell.)"""


@dataclass(frozen=True, slots=True)
class Tracking:
    """For which situations a question about conntrack holds.

    Args:
        certainly: those in which it holds for every packet.
        possibly: those in which it may hold; all of `certainly` among them.
    """

    certainly: Situations = ALL
    possibly: Situations = ALL

    def __and__(self, other: Tracking) -> Tracking:
        return Tracking(self.certainly & other.certainly, self.possibly & other.possibly)

    @property
    def is_always(self) -> bool:
        """Whether nothing is asked, or it holds whatever the answer."""
        return self == ALWAYS

    @property
    def needs_entry(self) -> bool:
        """Whether it holds for no packet that has no entry."""
        return self.possibly <= WITH_ENTRY


ALWAYS: Final = Tracking()
NEVER: Final = Tracking(frozenset(), frozenset())
OF_AN_ENTRY: Final = Tracking(frozenset(), WITH_ENTRY)
"""A question about an entry that no situation answers: a mark, a helper, its original addresses."""


def in_state(*states: str, negated: bool = False) -> Tracking:
    """A packet's state is one of these, by the words of `ct state`; or none of them."""
    held = frozenset(one for one in Situation if (_STATES[one] in states) is not negated)
    return Tracking(held, held)


def in_direction(direction: str, *, negated: bool = False) -> Tracking:
    """A packet goes in a direction of its flow: original or reply. ICMP errors go either way."""
    held = frozenset(one for one, known in _DIRECTIONS.items() if (known == direction) is not negated)
    return Tracking(held, held | {Situation.RELATED})


def with_status(bits: Iterable[str], *, negated: bool = False) -> Tracking:
    """An entry's status has at least one of these bits, by the words of `ct status`; or none of them."""
    asked = set(bits)
    certainly, possibly = set(), set()
    for situation in WITH_ENTRY:
        known = {bit: _STATUS[situation].get(bit) for bit in asked}
        has_one = True if True in known.values() else None if None in known.values() else False
        if has_one is None or has_one is not negated:
            possibly.add(situation)
            if has_one is not None:
                certainly.add(situation)
    return Tracking(frozenset(certainly), frozenset(possibly))
