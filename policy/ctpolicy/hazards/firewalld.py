"""What firewalld takes with its nftables backend so that accept rules stay: a policy object with rich rules.

Its table is written anew with each reload, so a rule in it is gone then. Direct rules do not help: they go to iptables,
and what that accepts firewalld's own table still drops. Policies (firewalld 0.9 and later) come before the zones' own
rules, but after `ct state invalid drop`, so ICMP errors cannot be accepted there. A rich rule asks for no state: it
accepts tracked packets as well as untracked ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from itertools import product
from shlex import join, quote
from typing import Final

from ctpolicy.hazards.admission import Admission, Admissions
from ctpolicy.hazards.placing import Keeper, Place, with_steps
from ctpolicy.hazards.rules import Hook, HostRules, Rule
from ctpolicy.hazards.situations import ALWAYS, Situation
from ctpolicy.packetspace.fields import PROTOCOLS_WITH_PORTS, Family, protocol_name
from ctpolicy.packetspace.intervals import Interval, IntervalSet, prefix_length
from ctpolicy.packetspace.packet import address_text
from ctpolicy.packetspace.universe import Field

MOST_RULES: Final = 16
"""Rich rules of one remedy."""

_ZONES: Final = {Hook.INPUT: ("ANY", "HOST"), Hook.OUTPUT: ("HOST", "ANY"), Hook.FORWARD: ("ANY", "ANY")}
_PORTS: Final = ((Field.SOURCE_PORT, "source-port"), (Field.DESTINATION_PORT, "port"))


@dataclass(frozen=True, slots=True)
class FirewalldPolicy:
    """A policy object.

    Args:
        lines: for people: the commands that make it.
        host: the host with what firewalld would make of it.
    """

    lines: tuple[str, ...]
    host: HostRules


def firewalld_policy(host: HostRules, place: Place, admitted: Admissions) -> FirewalldPolicy | None:
    """The policy object that does what rules at a place in firewalld's table do; None if it cannot say that.

    Args:
        host: without the rules.
        place: of the rules.
        admitted: what they accept.
    """
    chain = f"filter_{place.hook.name}_POLICIES_pre"
    is_theirs = place.keeper is Keeper.FIREWALLD and place.like.tool == "nft" and place.hook in _ZONES
    if not is_theirs or chain not in host.tables[place.table].chains:
        return None
    rules: list[str] = []
    for one in admitted.each:
        found = _rich_rules(one)
        if found is None:
            return None
        rules += found
    if len(rules) > MOST_RULES:
        return None
    own = Rule("accept", "nft", place.like.family, place.like.table, chain)
    steps = tuple(replace(one.step(own), tracking=ALWAYS) for one in admitted.each)
    there = replace(place, chain=chain, before=None, at_head=False)
    return FirewalldPolicy(tuple(_lines(place.hook, rules)), with_steps(host, there, steps))


def _lines(hook: Hook, rules: list[str]) -> list[str]:
    name = f"ctpolicy-{hook.value}"
    of_policy = ["firewall-cmd", "--permanent", f"--policy={name}"]
    ingress, egress = _ZONES[hook]
    commands = [
        join(["firewall-cmd", "--permanent", f"--new-policy={name}"]),
        join([*of_policy, f"--add-ingress-zone={ingress}"]),
        join([*of_policy, f"--add-egress-zone={egress}"]),
        *(f"{join(of_policy)} --add-rich-rule={quote(rule)}" for rule in rules),
        "firewall-cmd --reload",
    ]
    first = "So that they stay (firewalld 0.9 and later); such rules accept tracked packets, too:"
    return [first, *(f"    {command}" for command in commands)]


def _rich_rules(admission: Admission) -> list[str] | None:
    """Rich rules; None for what they cannot ask: interfaces, both ports, ranges of addresses, states."""
    box = admission.box
    ports = [(word, box[field]) for field, word in _PORTS if field in box]
    if Field.INTERFACE in box or len(ports) > 1 or admission.situation is not Situation.UNTRACKED:
        return None
    sources = _addresses(admission, Field.SOURCE, "source")
    destinations = _addresses(admission, Field.DESTINATION, "destination")
    elements = _elements(admission, ports[0] if ports else None)
    if sources is None or destinations is None or not elements:
        return None
    family = f' family="{admission.family.value}"' if admission.family else ""
    return [f"rule{family}{a}{b}{c} accept" for a, b, c in product(sources, destinations, elements)]


def _elements(admission: Admission, ports: tuple[str, IntervalSet] | None) -> list[str]:
    protocols = admission.box.get(Field.PROTOCOL)
    if protocols is None or sum(last - first + 1 for first, last in protocols) > MOST_RULES:
        return []
    numbers = [number for first, last in protocols for number in range(first, last + 1)]
    if ports is None:
        return [f' protocol value="{protocol_name(number)}"' for number in numbers]
    word, values = ports
    if not set(numbers) <= PROTOCOLS_WITH_PORTS:
        return []
    return [f' {word} port="{_range(one)}" protocol="{protocol_name(number)}"' for number in numbers for one in values]


def _addresses(admission: Admission, field: Field, word: str) -> list[str] | None:
    if field not in admission.box:
        return [""]
    family = admission.family
    lengths = [prefix_length(one, family.bits) for one in admission.box[field]] if family else [None]
    if family is None or None in lengths:
        return None
    kind = IPv4Address if family is Family.IPV4 else IPv6Address
    texts = [
        address_text(kind(one[0])) + ("" if length == family.bits else f"/{length}")
        for one, length in zip(admission.box[field], lengths, strict=True)
    ]
    return [f' {word} address="{text}"' for text in texts]


def _range(interval: Interval) -> str:
    first, last = interval
    return str(first) if first == last else f"{first}-{last}"
