"""What of a host bears upon the hazards of a plan: all of its rules, and how conntrack is set there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from ctpolicy.errors import CtpolicyError
from ctpolicy.hazards.rules import HostRules
from ctpolicy.iptables.host_rules import Listing
from ctpolicy.plan.host_rules import host_rules
from ctpolicy.plan.live import Live

_NO_IPTABLES: Final = "rules of iptables-legacy, which nft does not list"
_NO_NFT: Final = "tables of nftables, which iptables-save does not list"
_NO_SETTINGS: Final = "nf_conntrack_tcp_loose, which matters for what is tracked again"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a host that bears upon hazards.

    Args:
        rules: all of its rules but ours.
        is_loose: whether conntrack takes up connections of tcp in mid-stream; None if nobody knows.
        unknown: what is not known of the host, in words: it may break what nothing here tells.
        damage: why its rules cannot be read at all, in words; empty if they can.
    """

    rules: HostRules = field(default_factory=HostRules)
    is_loose: bool | None = None
    unknown: tuple[str, ...] = ()
    damage: str = ""


def surroundings_of(live: Live, listings: Iterable[Listing], is_loose: bool | None) -> Surroundings:
    """What bears upon hazards, of a host whose iptables have listed their rules."""
    try:
        return Surroundings(host_rules(live, listings), is_loose)
    except CtpolicyError as error:
        return Surroundings(is_loose=is_loose, damage=f"the rules of this host cannot be read: {error}")


def surroundings_of_dump(live: Live) -> Surroundings:
    """The same of what was saved of a host, and what that does not have."""
    return replace(surroundings_of(live, live.listings or (), None), unknown=tuple(_unknown(live)))


def _unknown(live: Live) -> Iterator[str]:
    yield _NO_NFT if live.listings else _NO_IPTABLES
    yield _NO_SETTINGS
