"""The commands that put an accept rule into its place, and those that take it out again.

They go to a shell. Names of tables and chains are other people's: what nft or a shell could take for anything but a
name is not written, and everything is quoted for the shell besides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import join, quote
from typing import Final

from ctpolicy.hazards.admission import Admission
from ctpolicy.hazards.placing import Keeper, Place
from ctpolicy.hazards.rule_text import MOST_RULES, iptables_matches, nft_matches
from ctpolicy.packetspace.fields import Family

WAIT: Final = 5
"""Seconds that iptables waits for its lock."""

_NFT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_/.\\-]*")
_IPTABLES_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+=/-]{0,27}")
_TOOL: Final = re.compile(r"ip6?tables-(nft|legacy)")
_FAMILIES: Final = {"ip": Family.IPV4, "ip6": Family.IPV6}


@dataclass(frozen=True, slots=True)
class Commands:
    """What a shell is given.

    Args:
        do: the commands.
        undo: those that take the rules out.
        lasting: for people: what makes the rules stay.
    """

    do: tuple[str, ...]
    undo: tuple[str, ...]
    lasting: tuple[str, ...] = ()


def commands(place: Place, admitted: Sequence[Admission], label: str) -> Commands | None:
    """The commands for accept rules at a place; None if they cannot be written.

    Args:
        place: where they go.
        admitted: what they accept.
        label: of letters, digits and `-`: the rules' comment, by which they are found again.
    """
    if place.like.tool == "nft":
        return _nft(place, admitted, label)
    return _iptables(place, admitted, label)


def _nft(place: Place, admitted: Sequence[Admission], label: str) -> Commands | None:
    rule = place.like
    names = (rule.family, rule.table, place.chain)
    if not all(_NFT_NAME.fullmatch(name) for name in names):
        return None
    where = " ".join(names)
    matches: list[str] = []
    for one in admitted:
        found = nft_matches(one, rule.family)
        if found is None:
            return None
        matches += found
    do = [f'{_nft_verb(place, where)} {match} accept comment "{label}"' for match in matches]
    listing = f"nft -a list chain {where}"
    find = rf"""sed -n 's/.* comment "{label}" # handle \([0-9]*\)$/\1/p'"""
    undo = f'{listing} | {find} | while read -r handle; do nft delete rule {where} handle "$handle"; done'
    return Commands(tuple(f"nft {quote(line)}" for line in do), (undo,), tuple(_nft_lasting(place, matches)))


def _nft_verb(place: Place, where: str) -> str:
    if place.at_head:
        return f"insert rule {where}"
    if place.before is None:
        return f"add rule {where}"
    if place.before.handle is not None:
        return f"insert rule {where} handle {place.before.handle}"
    return f"insert rule {where} index {place.before.number - 1}"


def _nft_lasting(place: Place, matches: Sequence[str]) -> Iterator[str]:
    if place.keeper is Keeper.FIREWALLD:
        yield "firewalld writes its table anew when it is reloaded or started: these rules are gone then."
        return
    where = "at the end of" if place.before is None else f"before `{place.before.text}` in"
    yield f"In the file from which this table is loaded, {where} chain {place.chain}:"
    yield from (f"    {match} accept" for match in matches)


def _iptables(place: Place, admitted: Sequence[Admission], label: str) -> Commands | None:
    rule = place.like
    family = _FAMILIES.get(rule.family)
    if family is None or not all(map(_IPTABLES_NAME.fullmatch, (rule.table, place.chain))):
        return None
    if not _TOOL.fullmatch(rule.tool):
        return None
    specifications: list[list[str]] = []
    for one in admitted:
        found = iptables_matches(one, family) if one.family in {None, family} else []
        if found is None:
            return None
        specifications += [[*words, "-m", "comment", "--comment", label, "-j", "ACCEPT"] for words in found]
    if not specifications or len(specifications) > 2 * MOST_RULES:
        return None
    start = [rule.tool, "-w", str(WAIT), "-t", rule.table]
    verb = _iptables_verb(place)
    return Commands(
        tuple(join([*start, *verb, *words]) for words in specifications),
        tuple(join([*start, "-D", place.chain, *words]) for words in specifications),
        tuple(_iptables_lasting(place, specifications, family)),
    )


def _iptables_verb(place: Place) -> list[str]:
    if place.at_head:
        return ["-I", place.chain, "1"]
    if place.before is None:
        return ["-A", place.chain]
    return ["-I", place.chain, str(place.before.number)]


def _iptables_lasting(place: Place, specifications: Sequence[Sequence[str]], family: Family) -> Iterator[str]:
    lines = [join(["-A", place.chain, *words]) for words in specifications]
    match place.keeper:
        case Keeper.UFW:
            file = "before.rules" if family is Family.IPV4 else "before6.rules"
            yield f"In /etc/ufw/{file}, before the first line that begins with `-A {place.chain}`:"
            yield from (f"    {line}" for line in lines)
        case Keeper.FIREWALLD_DIRECT:
            chain = place.chain.removesuffix("_direct")
            yield "And so that firewalld keeps them:"
            for words in specifications:
                start = ["firewall-cmd", "--permanent", "--direct", "--add-rule", family.value, place.like.table]
                yield f"    {join([*start, chain, '0', *words])}"
        case Keeper.DOCKER:
            yield "Docker leaves this chain to you; it is gone with the next start of the host."
        case _:
            yield "Where this host's rules are kept (`iptables-save`), for they are gone with its next start."
