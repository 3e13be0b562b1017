"""Who has conntrack look at packets: which rule, object or part of the kernel registers its hooks.

Conntrack is at work in a network namespace only if something there asks for it. That is decided when a rule is loaded,
not when a packet meets it: a rule in a chain that nothing leads to is enough, and so is one in a dormant table, or an
object that no rule uses. What asks, and for which family, was tried one by one on Linux 6.18, and a test tries it
again:

    nftables   expressions and statements of `ct` but notrack, statements of NAT, synproxy, flow tables;
               the objects ct helper, ct timeout, ct expectation, synproxy
    iptables   matches conntrack, state, connmark, connlimit, connbytes, connlabel, helper, cluster;
               targets of NAT, CONNMARK, CONNSECMARK, SYNPROXY, CT but for --notrack
    neither    chains of type nat and the table nat with no such rule, notrack, TPROXY, socket, policy, recent
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from ctpolicy.iptables.ruleset import Variant
from ctpolicy.netfilter.foreign import title_of
from ctpolicy.netfilter.owners import owner
from ctpolicy.packetspace.fields import Family

_BOTH: Final = tuple(Family)
_FAMILIES: Final = {"ip": (Family.IPV4,), "ip6": (Family.IPV6,), "inet": _BOTH}
_TABLE_FAMILY: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}

_OF_NFTABLES: Final = {
    **dict.fromkeys(("ct", "ct count", "ct helper", "ct timeout", "ct expectation"), "asks conntrack"),
    **dict.fromkeys(("snat", "dnat", "masquerade", "redirect"), "translates addresses"),
    "synproxy": "answers connections first",
    "flow": "puts flows into a flow table",
}
_OBJECTS: Final = ("ct helper", "ct timeout", "ct expectation", "synproxy")

_MATCHES: Final = frozenset(
    {"conntrack", "state", "connmark", "connlimit", "connbytes", "connlabel", "helper", "cluster"}
)
_TARGETS: Final = {
    **dict.fromkeys(("MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"), "translates addresses"),
    **dict.fromkeys(("CONNMARK", "CONNSECMARK"), "marks flows"),
    "CT": "sets a zone, a helper or a timeout",
    "SYNPROXY": "answers connections first",
}

RuleTexts = Mapping[tuple[str, str, int], str]
"""Rules as nft writes them, by family, table and handle."""


@dataclass(frozen=True, slots=True)
class User:
    """Something that has conntrack look at packets.

    Args:
        place: where it stands, and whose it is if that is known.
        text: as its tool writes it.
        reason: what it wants of conntrack.
        families: for which it does.
        is_certain: whether it is sure that it does.
    """

    place: str
    text: str
    reason: str
    families: tuple[Family, ...]
    is_certain: bool = True

    def __str__(self) -> str:
        return f"{self.place}: {self.text}  ({self.reason}{'' if self.is_certain else ', possibly'})"


def users_of_nftables(listing: str, texts: RuleTexts, shown_by_iptables: frozenset[tuple[str, str]]) -> Iterator[User]:
    """Rules and objects of nftables that use conntrack.

    Args:
        listing: what `nft -j list ruleset` prints.
        texts: rules as nft writes them; one that is missing is shown as JSON.
        shown_by_iptables: tables, by family and name, that iptables-nft shows better.
    """
    for item in json.loads(listing)["nftables"]:
        ((kind, found),) = item.items()
        place = (found.get("family", ""), found.get("table", ""))
        if place[0] not in _FAMILIES or place in shown_by_iptables:
            continue
        if kind == "rule":
            yield from _rule(found, texts)
        elif kind in _OBJECTS:
            yield User(_titled(*place), f"{kind} {found['name']}", "the object alone does", _FAMILIES[place[0]])
        elif kind in {"set", "map"} and any(key == "ct count" for key, _ in _keys(found)):
            yield User(_titled(*place), f"{kind} {found['name']}", "counts connections", _FAMILIES[place[0]])


def users_of_iptables(saved: str, variant: Variant, family: Family) -> Iterator[User]:
    """Rules of iptables that use conntrack, of what iptables-save printed of all tables."""
    table = ""
    for line in saved.split("\n"):
        if line.startswith("*"):
            table = line[1:]
        reason = _reason_of(_words(line)) if line.startswith("-A ") else ""
        if reason:
            words = _words(line)
            comment = words[words.index("--comment") + 1] if "--comment" in words[:-1] else None
            whose = owner(_TABLE_FAMILY[family], table, words[1], comment)
            known = None if whose is not None and whose.name == "iptables-nft" else whose
            place = f"iptables-{variant.value}, {family.value}, table {table}"
            yield User(title_of(place, known), line, reason, (family,))


def shown_tables(saved: str, family: Family) -> Iterator[tuple[str, str]]:
    """The tables that iptables-nft-save shows whole; of those with native rules it says so and shows nothing."""
    broken = [line.split("`")[1].split("'")[0] for line in saved.split("\n") if line.startswith("# Table `")]
    for line in saved.split("\n"):
        if line.startswith("*") and line[1:] not in broken:
            yield _TABLE_FAMILY[family], line[1:]


def rule_texts(listing: str) -> dict[tuple[str, str, int], str]:
    """Rules by family, table and handle, of what `nft -a list ruleset` prints."""
    found: dict[tuple[str, str, int], str] = {}
    family = table = ""
    for line in listing.split("\n"):
        words = line.split()
        if line.startswith("table ") and len(words) > 2:
            family, table = words[1], words[2]
            continue
        text, mark, handle = line.strip().rpartition(" # handle ")
        if mark and handle.isdecimal() and not text.endswith("{"):
            found[family, table, int(handle)] = text
    return found


def _rule(found: dict[str, Any], texts: RuleTexts) -> Iterator[User]:
    reason, certain = _reason(found["expr"])
    if reason:
        family, table, chain = found["family"], found["table"], found["chain"]
        text = texts.get((family, table, found.get("handle", 0))) or json.dumps(found["expr"])
        whose = owner(family, table, chain, found.get("comment"))
        place = title_of(f"table {family} {table}, chain {chain}", whose)
        yield User(place, text, reason, _FAMILIES[family], certain)


def _reason(expressions: Any) -> tuple[str, bool]:
    """What a rule wants of conntrack, and whether that is sure; empty if nothing."""
    possible = ""
    for key, value in _keys(expressions):
        if key in _OF_NFTABLES:
            return _OF_NFTABLES[key], True
        # libnftables tells no more of a match or target of iptables than its name.
        if key == "xt" and isinstance(value, dict):
            name = value.get("name")
            if name in _MATCHES:
                return "asks conntrack", True
            possible = _TARGETS.get(str(name), possible)
    return possible, not possible


def _keys(part: Any) -> Iterator[tuple[str, Any]]:
    """Every key, with its value, at any depth."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield key, value
            yield from _keys(value)
    elif isinstance(part, list):
        for value in part:
            yield from _keys(value)


def _reason_of(words: list[str]) -> str:
    asks = ""
    for option, value in pairwise(words):
        if option in {"-j", "-g"} and value in _TARGETS and not (value == "CT" and "--notrack" in words):
            return _TARGETS[value]
        if option == "-m" and value in _MATCHES:
            asks = "asks conntrack"
    return asks


def _words(line: str) -> list[str]:
    """The words of a rule, without its comment's: that may say anything."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _titled(family: str, table: str) -> str:
    return title_of(f"table {family} {table}", owner(family, table))
