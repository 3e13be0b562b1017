"""Policy to nftables table.

The layout, and why a packet's cost does not grow with the policy:

1. Each entry has a chain of its own, `bypass_NAME` or `track_NAME`, of one rule that counts and decides. It depends
   on nothing but the entry's name, so its counter outlives every change to what the entry covers.
2. A base chain at raw priority looks the protocol up in a map, and each protocol's chain looks the port up: exact
   ports in a hash map, ranges in interval maps. Most packets leave after these two or three lookups. A map with port
   ranges and the protocol in one key would be a pipapo set and cost 3 to 9 times as much (Linux 6.18).
3. Ranges that overlap stand in different maps (layers.py), so that elements stay as the policy spells them and their
   number is linear; a packet pays for the deepest overlap, not for the policy.
4. A lookup's verdict goes straight to the entry's chain, or jumps to a chain of rules for what is left to ask:
   interface, addresses, the other port, and `fib` last (matches.py). Where that would be more than MOST_RULES, the
   chain looks the address or port up in maps of its own, by the same function.
5. Track entries are asked before bypass entries of the same packets: any-protocol tracks first in the base chain,
   then, in the protocol's chain, its tracks and its bypasses, then any-protocol bypasses. Among entries of one role
   order means nothing, since all of them decide alike; the first by name counts the packet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.boxes import Box, Hook, Role, boxes
from ctpolicy.netfilter.layers import layers
from ctpolicy.nftables.asking import DESTINATION_PORT, FIELDS, SOURCE_PORT, Field, map_suffix
from ctpolicy.nftables.matches import ON_LOOPBACK, linear_rules
from ctpolicy.nftables.names import SetNames, protocol_word
from ctpolicy.nftables.parts import Parts
from ctpolicy.nftables.ruleset import (
    ACCEPT,
    RAW_PRIORITY,
    BaseHook,
    Counter,
    Match,
    Meta,
    Notrack,
    Payload,
    Rule,
    Selector,
    Table,
    Verdict,
    VerdictKind,
    datatype,
)
from ctpolicy.nftables.values import element_text
from ctpolicy.packetspace.fields import LOOPBACK
from ctpolicy.packetspace.intervals import Interval

MOST_RULES: Final = 8
"""A linear rule costs about 19 ns, a lookup 50 to 240 ns (Linux 6.18): beyond this many a lookup is cheaper."""

Candidates = dict[Interval, list[Box]]
"""For each interval of one field, the boxes that have it, with that field no longer asked."""


def compile_policy(policy: Policy) -> Table:
    """The nftables table that leaves untracked exactly what the policy means. Equal policies give equal tables."""
    parts = Parts(SetNames(policy))
    for entry in policy.track:
        parts.add_chain(f"track_{entry.name}", [Rule((Counter(), ACCEPT))])
    for entry in policy.bypass:
        parts.add_chain(f"bypass_{entry.name}", [Rule((Counter(), Notrack(), ACCEPT))])
    found = boxes(policy)
    for hook in Hook:
        _HookCompiler(hook, parts).compile(found[hook, Role.TRACK], found[hook, Role.BYPASS])
    return parts.table()


class _HookCompiler:
    """What one hook needs: its base chain, and the chains and maps behind it.

    In the methods, `place` begins the names of chains that are jumped to, and `prefix` those of maps.
    """

    def __init__(self, hook: Hook, parts: Parts) -> None:
        self._hook = hook
        self._parts = parts
        self._verdicts: dict[tuple[str, tuple[Box, ...]], Verdict] = {}

    def compile(self, tracks: list[Box], bypasses: list[Box]) -> None:
        """Add everything for these boxes to the table; nothing at all if there are none."""
        if not tracks and not bypasses:
            return
        name = self._hook.value
        rules = [
            *self._loopback(),
            *self._rules([box for box in tracks if box.protocol is None], f"{name}_track", f"{name}_track_any"),
            *self._protocols(tracks + bypasses),
            *self._rules([box for box in bypasses if box.protocol is None], name, f"{name}_any"),
        ]
        self._parts.add_chain(name, rules, BaseHook("filter", name, RAW_PRIORITY))

    def _loopback(self) -> Iterable[Rule]:
        # A loopback packet was decided at output; here notrack does nothing to it, but a counter would count it twice.
        if self._hook is Hook.PREROUTING:
            yield Rule((Match(Meta("iifname"), LOOPBACK), ACCEPT))

    def _protocols(self, given: Iterable[Box]) -> Iterable[Rule]:
        by_protocol: dict[int, list[Box]] = defaultdict(list)
        for box in given:
            if box.protocol is not None:
                by_protocol[box.protocol].append(box)
        if by_protocol:
            elements = {(number, number): self._protocol(number, own) for number, own in by_protocol.items()}
            yield self._parts.add_map(f"{self._hook.value}_protocols", Meta("l4proto"), elements)

    def _protocol(self, number: int, given: list[Box]) -> Verdict:
        """Where packets of one protocol go: tracks by port, tracks of every port, then the same for bypasses."""
        word = protocol_word(number)
        name = self._parts.reserve_chain(f"{self._hook.value}_{word}")
        rules: list[Rule] = []
        for role, place in ((Role.TRACK, f"{self._hook.value}_track_{word}"), (Role.BYPASS, name)):
            own = [box for box in given if box.role is role]
            to, back, rest = _by_port(own)
            rules += self._field(DESTINATION_PORT, to, place, place)
            rules += self._field(SOURCE_PORT, back, place, place)
            rules += self._rules(rest, place, place)
        match rules:
            case [Rule((Verdict() as only,))]:
                self._parts.drop_chain(name)
                return only
        self._parts.add_chain(name, rules)
        return Verdict(VerdictKind.JUMP, name)

    def _rules(self, given: Sequence[Box], place: str, prefix: str) -> list[Rule]:
        """Rules that send packets in these boxes, of whose protocol they are, to their entries' chains."""
        for box in given:
            if box.is_free(self._hook):
                return [Rule((Verdict(VerdictKind.GOTO, box.chain),))]
        if len(given) > MOST_RULES:
            field = max(FIELDS, key=lambda field: sum(field.values(box) is not None for box in given))
            asking = [box for box in given if field.values(box) is not None]
            if len(asking) > MOST_RULES:
                rest = [box for box in given if field.values(box) is None]
                return [*self._field(field, asking, place, prefix), *self._rules(rest, place, f"{prefix}_rest")]
        return [rule for box in given for rule in linear_rules(box, self._hook, self._parts.named_set)]

    def _field(self, field: Field, given: Iterable[Box], place: str, prefix: str) -> list[Rule]:
        """Rules that look one field up which all these boxes ask about."""
        by_selector: dict[tuple[bool, Payload], Candidates] = {}
        for box in given:
            candidates = by_selector.setdefault((box.on_loopback, field.selector(box)), defaultdict(list))
            left = field.without(box)
            if box.on_loopback:
                left = left._replace(on_loopback=False)
            for interval in field.values(box) or ():
                candidates[interval].append(left)
        rules: list[Rule] = []
        for (on_loopback, selector), candidates in by_selector.items():
            where = "_lo" if on_loopback else ""
            lookups = self._lookups(
                selector, candidates, f"{place}{where}_{field.name}", f"{prefix}{where}_{map_suffix(selector)}"
            )
            rules += [Rule((ON_LOOPBACK, *rule.statements)) for rule in lookups] if on_loopback else lookups
        return rules

    def _lookups(self, selector: Selector, candidates: Candidates, place: str, prefix: str) -> list[Rule]:
        """Look exact values up in a hash map, and ranges in an interval map for each layer of overlap."""
        exact = [interval for interval in candidates if interval[0] == interval[1]]
        maps = {prefix: exact} if exact else {}
        for number, layer in enumerate(layers(candidates.keys() - set(exact)), start=1):
            maps[f"{prefix}_ranges" if number == 1 else f"{prefix}_ranges_{number}"] = layer
        return [
            self._parts.add_map(
                name,
                selector,
                {
                    interval: self._verdict(candidates[interval], place, selector, interval)
                    for interval in sorted(intervals)
                },
            )
            for name, intervals in maps.items()
        ]

    def _verdict(self, given: list[Box], place: str, selector: Selector, interval: Interval) -> Verdict:
        """Where packets go that may be in these boxes: to an entry's chain, or to a chain that asks the rest.

        That chain is named for the entry if there is one, and else for what was looked up, so that it keeps its name
        when entries come and go.
        """
        for box in given:
            if box.is_free(self._hook):
                return Verdict(VerdictKind.GOTO, box.chain)
        key = (place, tuple(given))
        if key not in self._verdicts:
            entries = {box.entry for box in given}
            label = entries.pop() if len(entries) == 1 else _label(interval, selector)
            name = self._parts.reserve_chain(f"{place}_{label}")
            self._parts.add_chain(name, self._rules(given, place, name))
            self._verdicts[key] = Verdict(VerdictKind.JUMP, name)
        return self._verdicts[key]


def _label(interval: Interval, selector: Selector) -> str:
    """An interval as part of a name."""
    key_type = datatype(selector)
    assert key_type is not None, f"{selector} is no key of ours"
    return element_text(interval, key_type).replace(":", "_").replace("/", "_")


def _by_port(given: Iterable[Box]) -> tuple[list[Box], list[Box], list[Box]]:
    """Boxes that ask for a destination port, those that ask for a source port alone, and those that ask for none."""
    to, back, rest = [], [], []
    for box in given:
        if box.destination_ports is not None:
            to.append(box)
        elif box.source_ports is not None:
            back.append(box)
        else:
            rest.append(box)
    return to, back, rest
