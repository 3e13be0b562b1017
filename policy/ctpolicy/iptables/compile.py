"""Policy to raw tables and ipsets.

The layout, and why a packet's cost does not grow with the policy:

1. A built-in chain jumps to ours first of all. Few rules stand there one after the other, as people write them. Of
   more, each protocol gets a chain, and what no entry asks about leaves by one lookup of its port in an ipset (the
   gate), or by few comparisons where there is no ipset.
2. Behind the gate a tree of chains narrows the port, or whatever most boxes ask about, eight ways at a time, until
   few rules are left to ask one after the other (a linear rule costs about 19 ns, Linux 6.18). Its blocks are fixed
   prefixes of the field's values, so that a new entry changes only the chains on its way.
3. All ways of track entries are gotos, and a chain ends with a goto to what is still to be asked. So RETURN, wherever
   it stands, leaves all of ours and goes on in the built-in chain, where others' rules follow. ACCEPT would keep
   packets from those. Bypass entries need no RETURN: of two trees of theirs the first is a jump, which comes back, so
   that they are not one as deep as both.
4. Track entries are asked before bypass entries and end with RETURN. `CT --notrack` lets the packet go on, so that
   all bypass entries of the same few rules count it; of more than a few that ask alike, the first by name.
5. Long lists are ipsets. Where there is no ipset they are trees too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ctpolicy.errors import InputError
from ctpolicy.iptables.hook import HookCompiler
from ctpolicy.iptables.ours import BUILT_IN, chain_of, jump
from ctpolicy.iptables.ruleset import (
    Chain,
    InSet,
    IpSet,
    RawTable,
    RawTables,
    Variant,
    Verdict,
)
from ctpolicy.iptables.sets import SetMaker
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.boxes import Box, Hook, Role, boxes
from ctpolicy.packetspace.fields import Family

DEEPEST: Final = 16
"""Chains that lead into each other, a built-in one with them: nf_tables refuses more, gotos too (Linux 6.18)."""

_BRANCH_BITS: Final = (3, 4, 5, 6, 8)
"""A node of a tree has 2^3 branches: with 4.5 comparisons a level on average, 10,000 ports are 5 levels. Where that
would be too deep, nodes are wider."""


def compile_policy(policy: Policy, with_sets: bool = True, variant: Variant = Variant.LEGACY) -> RawTables:
    """The raw tables that leave untracked exactly what the policy means. Equal policies give equal tables.

    Args:
        policy: to compile.
        with_sets: whether long lists become ipsets.
        variant: whose rules these are to be; it tells in the names of ipsets alone.

    Raises:
        InputError: the policy says what iptables has no words for.
    """
    sets = SetMaker(policy, variant) if with_sets else None
    found = boxes(policy)
    tables: dict[Family, RawTable] = {}
    for family in Family:
        chains: dict[str, Chain] = {}
        for hook, built_in in zip(Hook, BUILT_IN, strict=True):
            own = [box for role in (Role.TRACK, Role.BYPASS) for box in found[hook, role] if family in box.families]
            if own:
                chains |= _shallow_enough(family, hook, sets, own, chain_of(built_in))
                chains[built_in] = Chain(built_in, (jump(built_in),), "ACCEPT")
        if chains:
            tables[family] = RawTable(tuple(chains[name] for name in sorted(chains)))
    return RawTables(tables, _used(sets, tables.values()) if sets else ())


def _shallow_enough(
    family: Family, hook: Hook, sets: SetMaker | None, given: Sequence[Box], name: str
) -> dict[str, Chain]:
    """The chains for these boxes; their trees have the narrowest nodes with which nf_tables takes them."""
    for bits in _BRANCH_BITS:
        chains = HookCompiler(family, hook, sets, bits).compile(given, name)
        if _depth(chains, name) < DEEPEST:
            return chains
    raise InputError(
        "This policy asks about too many things at once for iptables: its chains would lead into each other more than "
        f"{DEEPEST} deep. Give entries fewer addresses of their own, as groups that they share, or use nftables."
    )


def _depth(chains: Mapping[str, Chain], name: str) -> int:
    """How many chains lead into each other at most, from this one on."""
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            targets = (rule.target for rule in chains[name].rules)
            led_to = {target.chain for target in targets if isinstance(target, Verdict) and target.chain}
            depths[name] = 1 + max(map(depth, led_to), default=0)
        return depths[name]

    return depth(name)


def _used(sets: SetMaker, tables: Iterable[RawTable]) -> tuple[IpSet, ...]:
    named = {
        match.name
        for table in tables
        for chain in table.chains
        for rule in chain.rules
        for match in rule.matches
        if isinstance(match, InSet)
    }
    return tuple(one for one in sets.made() if one.name in named)
