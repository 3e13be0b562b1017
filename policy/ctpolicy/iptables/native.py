"""Rules of the raw tables that iptables-nft did not make, and that iptables-nft-save prints as what they are not.

Of some (`notrack`, `fib`) it says that the table is incompatible. Of a set, named or not, 1.8.9 leaves out the question
and prints the rest, so that `ip saddr { 192.0.2.1, 192.0.2.3 } accept` reads as `-j ACCEPT`, with exit status 0. nft's
own listing shows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from ctpolicy.errors import HostError, InputError

_NEVER_OF_IPTABLES: Final = frozenset(
    {"set", "map", "vmap", "fib", "concat", "ct", "rt", "socket", "osf", "numgen", "jhash", "symhash", "notrack"}
)
"""Statements and expressions that iptables-nft never makes in a table of ip or ip6, by their keys in nft's JSON."""


def check_printable(listing: str) -> None:
    """Refuse to read raw tables whose rules iptables-nft-save prints wrongly.

    Args:
        listing: what `nft -j list table ip raw`, or `ip6 raw`, or `list ruleset` prints.

    Raises:
        HostError: there is such a rule.
        InputError: it is no listing of nft.
    """
    try:
        document = json.loads(listing)
        objects = document["nftables"]
        native = [rule for found in objects for rule in _raw_rules(found) if any(_native_keys(rule["expr"]))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"This is not a listing of nftables as `nft -j` prints it: {error!r}.") from error
    if native:
        place = f"table {native[0]['family']} raw, chain {native[0]['chain']}"
        raise HostError(
            f"In {place} there are rules of nftables that iptables-nft did not make ({len(native)}). It prints them "
            f"without what they ask, so what the table does cannot be read. Move them to a table of their own."
        )


def _raw_rules(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    rule = found.get("rule", {})
    if rule.get("table") == "raw" and rule.get("family") in {"ip", "ip6"}:
        yield rule


def _native_keys(part: Any) -> Iterator[bool]:
    """Whether anything in a statement is not iptables'."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield key in _NEVER_OF_IPTABLES or (isinstance(value, str) and value.startswith("@"))
            yield from _native_keys(value)
    elif isinstance(part, list):
        for value in part:
            yield from _native_keys(value)
