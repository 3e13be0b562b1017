"""Which changes the kernel makes without a gap in one transaction.

How nf_tables commits, which what was seen under load agrees with (Linux 6.18): rules become other rules for each packet
as a whole, because a packet asks once which generation it is of. The elements of sets and maps do not: each lookup asks
again, and interval sets change one after the other, a little later than the rules. So a packet may meet old elements
and then new ones, or new rules and old elements, but in one lookup it meets either the one or the other.

Hence one transaction is enough for

1. objects that only come, or only go, whole: those that stay leave untracked all that both tables do;
2. other rules, where no set, map or element changes;
3. elements that only come, or only go, where nothing else changes. A packet that neither table tracks finds on its way
   no track entry, for each lookup's answer is the old or the new; and what left it untracked in the smaller of the two
   is there all the time;
4. elements that come and go, where no packet is asked two of the lookups that change: before it its way is the old
   one, and behind it the new one.

Of the last one thing is left out. Loopback packets are asked about both of their sides, so that a service's clients are
one set asked twice. A packet from the service's port to the service's port, of which one address leaves the set while
the other comes, might fall between the two lookups, some 100 ns apart. To keep it from that, every change of a list of
100,000 clients would have to load them twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Final

from ctpolicy.nftables.change import Change
from ctpolicy.nftables.matches import ON_LOOPBACK
from ctpolicy.nftables.ruleset import (
    AnonymousMap,
    Chain,
    Match,
    Payload,
    Rule,
    Selector,
    SetReference,
    Verdict,
    VerdictLookup,
    VerdictMap,
)

_TOLD_APART: Final = ({"ip", "ip6"}, {"tcp", "udp", "udplite", "sctp", "dccp"})
"""Of each of these a packet is only one."""


_Lookup = tuple[str, Selector]
"""The name of a set or map, and what it is asked."""


def is_gapless_at_once(change: Change) -> bool:
    """Whether one transaction tracks no packet that is untracked before and after."""
    comes = bool(change.sets_added or change.chains_added)
    goes = bool(change.sets_removed or change.chains_removed or change.others_removed)
    elements = bool(change.elements_added or change.elements_removed)
    if change.created:
        return True  # nothing is untracked before
    if change.chains_hooked:
        return False  # hooks change at once, not by generation
    if not elements and not change.edits:
        return not (comes and goes)
    if not elements:
        return not (change.sets_added or change.sets_removed or _has_base(change.chains_added + change.chains_removed))
    if change.edits or comes or goes:
        return False
    return not (change.elements_added and change.elements_removed) or _are_asked_apart(change)


def _has_base(chains: Iterable[Chain]) -> bool:
    return any(chain.hook for chain in chains)


def _are_asked_apart(change: Change) -> bool:
    """Whether each packet is asked at most one of the lookups whose elements change."""
    changing = {holder.name for holder in (*change.elements_added, *change.elements_removed)}
    ways = _Ways(change)
    for base in (chain for chain in change.table.chains if chain.hook):
        lookups = {*ways.maps_asked(base.name), *ways.sets_asked(base.name)}
        lookups = {(name, selector) for name, selector in lookups if name in changing}
        if not all(_are_told_apart(one, other) for (_, one), (_, other) in combinations(lookups, 2)):
            return False
    return True


def _are_told_apart(one: Selector, other: Selector) -> bool:
    return (
        isinstance(one, Payload)
        and isinstance(other, Payload)
        and one.protocol != other.protocol
        and any({one.protocol, other.protocol} <= protocols for protocols in _TOLD_APART)
    )


class _Ways:
    """Where chains lead, by elements of both tables; all else is the same in both."""

    def __init__(self, change: Change) -> None:
        self._rules = {chain.name: chain.rules for chain in change.table.chains}
        self._targets: dict[str, set[str]] = {}
        left = (holder for holder in change.elements_removed if isinstance(holder, VerdictMap))
        for holder in (*change.table.maps, *left):
            targets = {verdict.chain for _, verdict in holder.elements if verdict.chain}
            self._targets.setdefault(holder.name, set()).update(targets)

    def maps_asked(self, base: str) -> Iterator[_Lookup]:
        """The maps that packets are asked which come to a base chain, and about what."""
        for rule in self._rules_from(base, with_loopback=True):
            for statement in rule.statements:
                match statement:
                    case VerdictLookup(selector, str(name)):
                        yield name, selector

    def sets_asked(self, base: str) -> Iterator[_Lookup]:
        """The same of sets, but for what only loopback packets are asked."""
        for rule in self._rules_from(base, with_loopback=False):
            for statement in rule.statements:
                match statement:
                    case Match(selector, SetReference(name)):
                        yield name, selector

    def _rules_from(self, base: str, with_loopback: bool) -> Iterator[Rule]:
        """The rules that a packet can come to."""
        found, left = {base}, [base]
        while left:
            for rule in self._rules.get(left.pop(), ()):
                if with_loopback or ON_LOOPBACK not in rule.statements:
                    yield rule
                    new = set(self._led_to(rule)) - found
                    found |= new
                    left += new

    def _led_to(self, rule: Rule) -> Iterator[str]:
        for statement in rule.statements:
            match statement:
                case Verdict(_, str(chain)):
                    yield chain
                case VerdictLookup(_, AnonymousMap(elements)):
                    yield from (verdict.chain for _, verdict in elements if verdict.chain)
                case VerdictLookup(_, str(name)):
                    yield from self._targets.get(name, ())
