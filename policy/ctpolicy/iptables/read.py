"""`iptables-save` and `ip6tables-save` to the raw table: the inverse of rendering.

With counters or without, of one table alone or of all: others than the one that is asked for are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from ctpolicy.errors import HostError, InputError
from ctpolicy.iptables.read_rules import read_rule
from ctpolicy.iptables.ruleset import Chain, RawTable
from ctpolicy.packetspace.fields import Family

_INCOMPATIBLE: Final = re.compile(r"# Table `(\w+)' is incompatible")
"""What iptables-nft-save prints, with exit status 0, of a table with rules that it cannot print."""

_HEADER: Final = re.compile(r":(\S+) (ACCEPT|DROP|-)(?: \[(\d+):(\d+)\])?")
_RULE: Final = re.compile(r"(?:\[(\d+):(\d+)\] )?-A (\S+)(?: (.*))?")


@dataclass(slots=True)
class _Parts:
    """A table while its lines are read: policies by chain, and rules by chain with the number of their line."""

    policies: dict[str, str | None] = field(default_factory=dict)
    rules: list[tuple[int, re.Match[str]]] = field(default_factory=list)


def read_raw_table(listing: str, family: Family) -> RawTable | None:
    """The raw table in what `iptables-save` (ipv4) or `ip6tables-save` (ipv6) prints; None if there is none in it.

    Raises:
        HostError: the tool said that it cannot print the table.
        InputError: the listing is none of theirs, or was cut.
    """
    return read_table(listing, family, "raw")


def read_table(listing: str, family: Family, name: str) -> RawTable | None:
    """The same of another table: all have one form. Arguments and errors as of `read_raw_table`."""
    parts: _Parts | None = None
    inside: str | None = None
    # Not splitlines, which also ends a line where a comment has a vertical tab or one of Unicode's separators.
    for number, line in enumerate(listing.split("\n"), start=1):
        text = line.strip()
        incompatible = _INCOMPATIBLE.match(text)
        if incompatible and incompatible[1] == name:
            raise HostError(_INCOMPATIBLE_MESSAGE.format(name=name))
        if not text or text.startswith("#"):
            continue
        if inside is None:
            inside = _table_name(number, text)
            if inside == name:
                if parts is not None:
                    raise _damaged(number, f"the {name} table begins a second time")
                parts = _Parts()
        elif text == "COMMIT":
            inside = None
        elif inside == name and parts is not None:
            _add_line(parts, number, text)
    if inside is not None:
        raise InputError(f"The listing of iptables ends within table {inside}: a part of it is missing.")
    return None if parts is None else _table(parts, family)


_INCOMPATIBLE_MESSAGE: Final = (
    "iptables cannot print the {name} table, because somebody has put native nftables rules into it. "
    "What is in it is unknown, not nothing: look with `nft list table ip {name}` (or `ip6 {name}`), and move those "
    "rules."
)


def _table_name(number: int, text: str) -> str:
    if not text.startswith("*") or len(text) < 2:
        raise _damaged(number, f"`{_shortened(text)}` stands where a table begins, such as `*raw`")
    return text[1:]


def _add_line(parts: _Parts, number: int, text: str) -> None:
    if header := _HEADER.fullmatch(text):
        name, policy = header.group(1, 2)
        if name in parts.policies:
            raise _damaged(number, f"chain {name} is there a second time")
        parts.policies[name] = None if policy == "-" else policy
    elif rule := _RULE.fullmatch(text):
        parts.rules.append((number, rule))
    else:
        raise _damaged(number, f"`{_shortened(text)}` is no line of iptables-save")


def _table(parts: _Parts, family: Family) -> RawTable:
    chains = {name: Chain(name, (), policy) for name, policy in parts.policies.items()}
    rules: dict[str, list[tuple[int, re.Match[str]]]] = {name: [] for name in chains}
    for number, rule in parts.rules:
        if rule[3] not in rules:
            raise _damaged(number, f"chain {rule[3]} is not in the listing")
        rules[rule[3]].append((number, rule))
    made = []
    for name, chain in sorted(chains.items()):
        read = []
        for number, rule in rules[name]:
            try:
                one = read_rule(rule[4] or "", family, chains)
            except ValueError as error:
                raise _damaged(number, f"{error}: `{_shortened(rule[0])}`") from error
            read.append(replace(one, packets=int(rule[1]), bytes=int(rule[2])) if rule[1] else one)
        made.append(replace(chain, rules=tuple(read)))
    return RawTable(tuple(made))


def _damaged(number: int, reason: str) -> InputError:
    return InputError(f"Line {number} of the listing is not as iptables-save prints it: {reason}.")


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
