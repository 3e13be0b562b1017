"""What rules of nftables ask conntrack, for each situation of a packet, from libnftables' JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ctpolicy.hazards.situations import ALWAYS, NEVER, OF_AN_ENTRY, Tracking, in_direction, in_state, with_status
from ctpolicy.nftables.rule_words import listed_values

_STATES: Final = frozenset({"new", "established", "related", "untracked", "invalid"})

_PERHAPS: Final = Tracking(frozenset(), ALWAYS.possibly)


def conntrack_question(match: dict[str, Any]) -> Tracking | None:
    """For which situations a match holds; None if it asks nothing of conntrack."""
    op, left, right = match["op"], match["left"], match["right"]
    match left:
        case {"ct": {"key": "state", **others}} if "dir" not in others:
            return _state(op, right)
        case {"&": [{"ct": {"key": "state"}}, mask]}:
            return _masked_state(op, _words(mask), right)
        case {"ct": {"key": "direction"}} if op in {"==", "!="} and right in {"original", "reply"}:
            return in_direction(right, negated=op == "!=")
        case {"ct": {"key": "status"}} if op in {"in", "!"} and _words(right) is not None:
            return with_status(_words(right) or (), negated=op == "!")
    return OF_AN_ENTRY if _is_of_conntrack(left) else None


def state_pairs(key: Any, pairs: Sequence[Any]) -> list[Tracking] | None:
    """For which situations each element of a map of states is found; None for other maps."""
    if key != {"ct": {"key": "state"}}:
        return [OF_AN_ENTRY for _ in pairs] if _is_of_conntrack(key) and not _has_state(key) else None
    return [in_state(state) if isinstance(state, str) and state in _STATES else _PERHAPS for state, _ in pairs]


def _state(op: str, right: Any) -> Tracking:
    """A state has one bit: `!= established,new` compares it with two and always holds (nft 1.0.6)."""
    words = _words(right)
    if words is None:
        return _PERHAPS
    is_compared = op in {"==", "!="} and not _is_set(right)
    if is_compared and len(words) > 1:
        return ALWAYS if op == "!=" else NEVER
    return in_state(*words, negated=op in {"!=", "!"})


def _masked_state(op: str, mask: list[str] | None, right: Any) -> Tracking:
    """`ct state & (new | established) == new`."""
    if mask is None or op not in {"==", "!="}:
        return _PERHAPS
    if right == 0:
        return in_state(*mask, negated=op == "==")
    words = _words(right)
    if words is None:
        return _PERHAPS
    held = [word for word in words if word in mask] if _is_set(right) or len(words) == 1 else []
    return in_state(*held, negated=op == "!=")


def _words(value: Any) -> list[str] | None:
    """States or bits of a status; None if some are not told, as those of a named set."""
    if isinstance(value, dict) and isinstance(value.get("|"), list):
        value = value["|"]
    found = listed_values(value)
    known = [one for one in found if isinstance(one, str) and not one.startswith("@")]
    return known if len(known) == len(found) else None


def _is_set(value: Any) -> bool:
    return isinstance(value, dict) and "set" in value


def _has_state(value: Any) -> bool:
    if isinstance(value, dict):
        return value.get("key") == "state" or any(map(_has_state, value.values()))
    return isinstance(value, list) and any(map(_has_state, value))


def _is_of_conntrack(value: Any) -> bool:
    """Whether something is asked of a connection besides its state, which every packet has."""
    if isinstance(value, dict):
        asked = value.get("ct")
        return (isinstance(asked, dict) and asked.get("key") != "state") or any(map(_is_of_conntrack, value.values()))
    return isinstance(value, list) and any(map(_is_of_conntrack, value))
