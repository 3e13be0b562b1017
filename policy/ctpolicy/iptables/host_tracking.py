"""What `-m conntrack` and `-m state` ask, for each situation of a packet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ctpolicy.hazards.situations import (
    ALL,
    ALWAYS,
    OF_AN_ENTRY,
    WITH_ENTRY,
    Tracking,
    in_direction,
    in_state,
    with_status,
)
from ctpolicy.iptables.module_options import NotModelledError, Option

WITHOUT_ENTRY: Final = ALL - WITH_ENTRY

ONLY_WITH_ENTRY: Final = Tracking(WITH_ENTRY, WITH_ENTRY)

_STATES: Final = frozenset({"NEW", "ESTABLISHED", "RELATED", "UNTRACKED", "INVALID"})
_TRANSLATED: Final = frozenset({"SNAT", "DNAT"})
"""What `--ctstate` asks beside: whether the flow is translated. Other bits than those that the packet's state has."""
_STATUS_BITS: Final = {
    "EXPECTED": "expected",
    "SEEN_REPLY": "seen-reply",
    "ASSURED": "assured",
    "CONFIRMED": "confirmed",
}
_DIRECTIONS: Final = {"ORIGINAL": "original", "REPLY": "reply"}


def conntrack_tracking(options: Sequence[Option]) -> Tracking:
    """For which situations `-m conntrack` holds.

    A packet without an entry is asked for its state alone, and meant if that fits, whatever else is asked; if no state
    is asked, it is not meant (conntrack_mt).

    Raises:
        NotModelledError: it was asked what ctpolicy does not know.
    """
    states = [_state(one) for one in options if one.name in {"--ctstate", "--state"}]
    others = ONLY_WITH_ENTRY
    for option in options:
        if option.name not in {"--ctstate", "--state"}:
            others &= _of_the_entry(option)
    if not states:
        return others
    asked = Tracking(others.certainly | WITHOUT_ENTRY, others.possibly | WITHOUT_ENTRY)
    for state in states:
        asked &= state
    return asked


def unless_entry(*, negated: bool, asked: Tracking = OF_AN_ENTRY) -> Tracking:
    """A question whose answer is no without an entry, and yes if it is negated."""
    return opposite(asked) if negated else asked


def opposite(tracking: Tracking) -> Tracking:
    """Where a question does not hold."""
    return Tracking(ALL - tracking.possibly, ALL - tracking.certainly)


def _state(option: Option) -> Tracking:
    words = set(option.only_value.split(","))
    if not words <= _STATES | _TRANSLATED:
        raise NotModelledError
    held = in_state(*(word.lower() for word in words & _STATES))
    if words & _TRANSLATED:
        held = Tracking(held.certainly, held.possibly | WITH_ENTRY)
    return opposite(held) if option.negated else held


def _of_the_entry(option: Option) -> Tracking:
    match option.name:
        case "--ctdir" if option.only_value in _DIRECTIONS:
            return in_direction(_DIRECTIONS[option.only_value], negated=option.negated)
        case "--ctstatus":
            words = set(option.only_value.split(",")) - {"NONE"}  # which is no bit
            if not words <= _STATUS_BITS.keys():
                raise NotModelledError
            return with_status((_STATUS_BITS[word] for word in words), negated=option.negated)
    return ALWAYS if not option.values else OF_AN_ENTRY
