"""What becomes of packets at statements that ctpolicy does not model: nothing, a question, or anything at all."""

from __future__ import annotations

import json
from typing import Final

from ctpolicy.netfilter import outcomes
from ctpolicy.packetspace.diagram import Node

_WITHOUT_EFFECT: Final = frozenset({"log", "counter", "ct helper", "ct timeout", "last", "secmark"})
"""Unmodelled statements after which the rule goes on, whatever the packet. Before conntrack there is no entry yet
that a helper or a timeout could be given to."""

_QUESTIONS: Final = frozenset(
    {"match", "limit", "quota", "ct count", "ct expectation", "set", "map", "meter", "socket", "tproxy", "flow"}
)
"""Unmodelled statements that let the rule go on or not, and do nothing else that decides about tracking."""

_CHANGED_META: Final = frozenset({"mark", "priority", "nftrace", "pkttype", "secmark"})
"""What a rule may set of a packet without a consequence for tracking; later rules that ask for it are questions."""


def unmodelled(text: str, then: Node) -> Node:
    """A statement, as JSON, and what comes after it in the rule; most may do anything to the packet, or to its way."""
    ((word, body),) = json.loads(text).items()
    if word in _WITHOUT_EFFECT:
        return then
    if word == "reject":
        return outcomes.DROP
    if word in _QUESTIONS or (word == "xt" and isinstance(body, dict) and body.get("type") == "match"):
        return outcomes.doubted(then)
    match body:
        case {"key": {"meta": {"key": str(key)}}, "value": value} if word == "mangle" and key in _CHANGED_META:
            return then if _is_plain(value) else outcomes.doubted(then)
        case {"key": {"ct": {"key": "zone"}}, "value": int()} if word == "mangle":
            # The packet gets a template, in the place of an earlier notrack, and a later one is ignored
            # (nft_ct_set_zone_eval, nft_notrack_eval; since 4.12). So it is never untracked: as good as dropped.
            return outcomes.DROP
        case {"key": {"ct": {"key": str(key)}}} if word == "mangle" and key != "zone":
            return outcomes.doubted(then)
    return outcomes.ANYTHING


def _is_plain(value: object) -> bool:
    """Whether every packet has this value: numbers and the mark, and what is computed of them."""
    match value:
        case int() | {"meta": {"key": "mark"}}:
            return True
        case dict() if value.keys() <= {"&", "|", "^", "<<", ">>"}:
            return all(_is_plain(part) for parts in value.values() for part in parts)
    return False
