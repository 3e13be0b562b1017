"""Somebody else's rules in the raw tables that keep packets from staying untracked.

Before our jump, any rule does that ends a packet's way through the built-in chain (ACCEPT, DROP, RETURN) or gives it a
conntrack template (CT --zone, --helper), after which the kernel ignores a notrack. Behind it, and in the tables of
another backend, only a DROP does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ctpolicy.iptables.evaluate import Tracer
from ctpolicy.iptables.foreign import without_ours
from ctpolicy.iptables.objects import TOOLS
from ctpolicy.iptables.ours import BUILT_IN
from ctpolicy.iptables.own import is_our_jump
from ctpolicy.iptables.render import rule_text
from ctpolicy.iptables.ruleset import Chain, Notrack, RawTable, RawTables, Rule, UnmodelledTarget, Variant
from ctpolicy.iptables.space import raw_treatment
from ctpolicy.netfilter.foreign import title_of
from ctpolicy.netfilter.owners import IPTABLES_NFT, owner
from ctpolicy.netfilter.shadow import ALL_UNTRACKED, Decider, Shadow
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.packet import Packet

_OURS: Final = Rule((), Notrack())
"""Stands for our jump, as if ours left everything untracked."""

_FAMILY_WORDS: Final = {Family.IPV4: "ip", Family.IPV6: "ip6"}

_Placed = Callable[[Chain], tuple[Rule, ...]]
"""The rules of a built-in chain, with what stands for ours in its place."""


def shadows_beside(live: RawTables, variant: Variant) -> Iterator[Shadow]:
    """What a variant's rules keep from us, where ours are another backend's. Which of the two comes first is not
    known: both hang at the same priority."""
    others = without_ours(live)
    for family in _with_rules(others):
        alone = replace(others, tables={family: others.tables[family]})
        untracked = (raw_treatment(alone) & ALL_UNTRACKED).untracked
        yield Shadow.of(untracked, _Deciders(others, variant).decider)


def shadows_around(live: RawTables, variant: Variant) -> Iterator[Shadow]:
    """What a variant's rules keep from ours in the same tables: those that an apply puts ours before, and the rest."""
    others = without_ours(live)
    decider = _Deciders(others, variant).decider
    for family in _with_rules(others):
        rest = Shadow.of(_untracked(live, family, _at_first), decider)
        yield rest
        if any(_in_its_place(chain)[:1] != (_OURS,) for chain in live.tables[family].chains if chain.name in BUILT_IN):
            all_of_it = Shadow.of(_untracked(live, family, _in_its_place), decider)
            before = (all_of_it.certainly - rest.possibly, all_of_it.possibly - rest.certainly)
            yield replace(all_of_it, certainly=before[0], possibly=before[1], is_mended=True)


def _with_rules(others: RawTables) -> list[Family]:
    """The families in which somebody else has anything that could decide."""
    built_in = {
        family: [chain for chain in table.chains if chain.name in BUILT_IN] for family, table in others.tables.items()
    }
    return [family for family in built_in if any(chain.rules or chain.policy == "DROP" for chain in built_in[family])]


def _untracked(live: RawTables, family: Family, placed: _Placed) -> Untracked:
    """What is untracked if ours leave untracked whatever comes to them; all of the other family."""
    every = RawTable(tuple(Chain(name, (_OURS,), "ACCEPT") for name in BUILT_IN))
    others = without_ours(live).tables[family]
    there = {chain.name: chain for chain in live.tables[family].chains if chain.name in BUILT_IN}
    chains = [
        *(replace(chain, rules=placed(chain)) for chain in there.values()),
        *(chain for chain in every.chains if chain.name not in there),
        *(chain for chain in others.chains if chain.name not in BUILT_IN),
    ]
    tables = dict.fromkeys(Family, every) | {family: RawTable(tuple(chains))}
    return raw_treatment(replace(live, tables=tables)).untracked


def _at_first(chain: Chain) -> tuple[Rule, ...]:
    return (_OURS, *(rule for rule in chain.rules if not is_our_jump(rule)))


def _in_its_place(chain: Chain) -> tuple[Rule, ...]:
    """Where our first jump is; where an apply would put it, if there is none."""
    first = next((place for place, rule in enumerate(chain.rules) if is_our_jump(rule)), 0)
    before, after = chain.rules[:first], chain.rules[first:]
    return (*before, _OURS, *(rule for rule in after if not is_our_jump(rule)))


class _Deciders:
    """Finds the rule of somebody else's that decided a packet."""

    def __init__(self, others: RawTables, variant: Variant) -> None:
        self._tracer = Tracer(others)
        self._variant = variant

    def decider(self, packet: Packet) -> Decider:
        """The last rule that the packet matched; the built-in chain, where what is not modelled is asked before."""
        way = self._tracer.trace(packet)
        rules: Sequence[tuple[str, Rule]] = [(step.chain, step.rule) for step in way.steps]
        if not rules or (way.untracked is None and not isinstance(rules[-1][1].target, UnmodelledTarget)):
            return self._place(packet, "OUTPUT" if packet.path is Path.OUT else "PREROUTING", None), ""
        chain, rule = rules[-1]
        return self._place(packet, chain, rule.comment), rule_text(rule, packet.family)

    def _place(self, packet: Packet, chain: str, comment: str | None) -> str:
        whose = owner(_FAMILY_WORDS[packet.family], "raw", chain, comment)
        place = f"{TOOLS[packet.family]}-{self._variant.value} raw, chain {chain}"
        return title_of(place, None if whose is IPTABLES_NFT else whose)
