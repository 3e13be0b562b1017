"""Rules to text, in the form in which iptables-save 1.8.9 prints them: what is sent comes back as it was sent.

Protocols that iptables itself has no name for are sent as numbers, because every host takes those; iptables-save
prints them by the name in its host's /etc/protocols, which the reader knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Final

from ctpolicy.iptables.ours import BUILT_IN
from ctpolicy.iptables.ruleset import (
    Address,
    AddressRange,
    AddressType,
    Chain,
    End,
    InSet,
    Interface,
    Match,
    Multiport,
    Notrack,
    Port,
    Protocol,
    RawTable,
    Rule,
    Target,
    UnmodelledMatch,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)
from ctpolicy.iptables.values import ports_text, prefix_text, protocol_text, range_text
from ctpolicy.iptables.words import quoted
from ctpolicy.packetspace.fields import Family

ADDRESS_TYPES: Final = (
    *("UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST"),
    *("BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE"),
)
"""iptables' words for them, in the order in which it prints them."""

_LEADS: Final = {VerdictKind.JUMP: "-j", VerdictKind.GOTO: "-g"}
_SHORT: Final = {End.SOURCE: "src", End.DESTINATION: "dst"}


def rule_text(rule: Rule, family: Family) -> str:
    """The words of a rule after `-A CHAIN`; empty for one that has neither matches nor a target."""
    words = [*_matches(rule, family)]
    if rule.comment is not None:
        words.append(f"-m comment --comment {quoted(rule.comment)}")
    if rule.target is not None:
        words.append(_target(rule.target))
    return " ".join(words)


def rule_lines(chain: Chain, family: Family) -> list[str]:
    """A chain's rules, each as the line that appends it."""
    return [f"-A {chain.name} {rule_text(rule, family)}".rstrip() for rule in chain.rules]


def save_lines(table: RawTable, family: Family) -> list[str]:
    """The table as `iptables-save -t raw` prints it, without its comments: the built-in chains first."""
    at_first = {name: place for place, name in enumerate(BUILT_IN)}
    chains = sorted(table.chains, key=lambda chain: (at_first.get(chain.name, len(at_first)), chain.name))
    headers = [f":{chain.name} {chain.policy or '-'} [0:0]" for chain in chains]
    return ["*raw", *headers, *(line for chain in chains for line in rule_lines(chain, family)), "COMMIT"]


def restore_text(table: RawTable, chains: Collection[str], family: Family) -> str:
    """What `iptables-restore --noflush` takes to make these chains anew, or fill them anew if they are there.

    Raises:
        ValueError: one of them is a built-in chain: its header would set its policy, and empty it of others' rules.
    """
    made = [chain for chain in table.chains if chain.name in chains]
    if any(chain.policy is not None or chain.name in BUILT_IN for chain in made):
        raise ValueError("a built-in chain is not ours to make")
    headers = [f":{chain.name} - [0:0]" for chain in made]
    lines = ["*raw", *headers, *(line for chain in made for line in rule_lines(chain, family)), "COMMIT"]
    return "".join(f"{line}\n" for line in lines)


def _matches(rule: Rule, family: Family) -> Iterator[str]:
    for before, match in pairwise((None, *rule.matches)):
        assert match is not None
        module, option = _module(match), _option(match, family)
        if before is not None and _goes_on(before, match):
            yield option.removeprefix(f"-m {_module(before)} ")  # which the text of one that is not modelled has
        else:
            yield f"-m {module} {option}" if module else option


def _goes_on(before: Match, match: Match) -> bool:
    """Whether one module asks both, as iptables-save prints it: its source's option, its destination's, then others."""
    match before, match:
        case (Port(end=End.SOURCE), Port(end=End.DESTINATION)):
            return before.module == match.module
        case (Port(module), UnmodelledMatch(text)):
            return text.startswith(f"-m {module} ")
        case (AddressRange(End.SOURCE), AddressRange(End.DESTINATION)):
            return True
        case (AddressType(End.SOURCE), AddressType(End.DESTINATION)):
            return True
    return False


def _module(match: Match) -> str:
    match match:
        case Port(module):
            return module
        case Multiport():
            return "multiport"
        case AddressRange():
            return "iprange"
        case AddressType():
            return "addrtype"
        case InSet():
            return "set"
    return ""


def _option(match: Match, family: Family) -> str:
    if isinstance(match, UnmodelledMatch):
        return match.text
    return ("! " if match.negated else "") + _question(match, family)


def _question(
    match: Address | AddressRange | Interface | Protocol | Port | Multiport | AddressType | InSet, family: Family
) -> str:
    match match:
        case Address(end, prefix):
            return f"-{_SHORT[end][0]} {prefix_text(prefix, family)}"
        case Interface(end, pattern):
            return f"{'-i' if end is End.SOURCE else '-o'} {pattern}"
        case Protocol(number):
            return f"-p {protocol_text(number)}"
        case Port(_, end, interval):
            return f"--{_SHORT[end][0]}port {ports_text(interval)}"
        case Multiport(end, intervals):
            initial = "" if end is End.EITHER else _SHORT[end][0]
            return f"--{initial}ports {','.join(map(ports_text, intervals))}"
        case AddressRange(end, interval):
            return f"--{_SHORT[end]}-range {range_text(interval, family)}"
        case AddressType(end, types):
            return f"--{_SHORT[end]}-type {','.join(sorted(types, key=ADDRESS_TYPES.index))}"
        case InSet(name, ends):
            return f"--match-set {name} {','.join(_SHORT[end] for end in ends)}"


def _target(target: Target) -> str:
    match target:
        case Notrack():
            return "-j CT --notrack"
        case Verdict(kind, None):
            return f"-j {kind.value}"
        case Verdict(kind, chain):
            return f"{_LEADS[kind]} {chain}"
        case UnmodelledTarget(text):
            return text
