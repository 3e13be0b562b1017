"""Somebody else's tables: what they do to packets, and which of their rules say `notrack`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ctpolicy.netfilter.foreign import Foreign, ForeignBypass, PacketBypass, title_of
from ctpolicy.netfilter.owners import Owner
from ctpolicy.netfilter.owners import owner as owner_of
from ctpolicy.nftables.following import comes_before_conntrack
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.ruleset import Chain, Notrack, Rule, Ruleset, Table
from ctpolicy.nftables.space import packet_outcome, ruleset_treatment, table_space
from ctpolicy.packetspace.packet import Packet

_Place = tuple[str, Owner | None]
"""A chain's name, and whose rules."""


def foreign(ruleset: Ruleset, with_ours: bool = False) -> Foreign:
    """What all tables but ours do; with ours, where it is another backend's to whoever asks."""
    others = _others(ruleset, with_ours)
    return Foreign(ruleset_treatment(others), tuple(bypass for table in others for bypass in foreign_bypasses(table)))


def packet_bypasses(ruleset: Ruleset, packet: Packet, with_ours: bool = False) -> Iterator[PacketBypass]:
    """The rules that leave one packet untracked. Only its own way is followed, so no ruleset is too large."""
    for table in _others(ruleset, with_ours):
        for place, owner, alone in _groups(table):
            outcome = packet_outcome(alone, packet)
            if outcome.is_possibly_untracked:
                yield PacketBypass(title_of(place, owner), outcome.is_certainly_untracked)


def foreign_bypasses(table: Table) -> Iterator[ForeignBypass]:
    """The `notrack` rules of one table, by place and owner, and what they leave untracked."""
    for place, owner, alone in _groups(table):
        untracked = table_space(alone)
        if untracked.possibly:
            yield ForeignBypass(place, owner, untracked)


def _others(ruleset: Ruleset, with_ours: bool) -> Ruleset:
    ours = (TABLE_FAMILY, TABLE_NAME)
    return tuple(table for table in ruleset if with_ours or (table.family, table.name) != ours)


def _groups(table: Table) -> Iterator[tuple[str, Owner | None, Table]]:
    """The places of `notrack` rules. What those of one place do is what the table does without all the others."""
    if not any(chain.hook and comes_before_conntrack(chain.hook) for chain in table.chains):
        return
    title = f"table {table.family} {table.name}"
    places = dict.fromkeys(_place(table, chain, rule) for chain in table.chains for rule in chain.rules if _says(rule))
    for place in places:
        chain, whose = place
        yield f"{title}, chain {chain}", whose, _keeping(table, place)
    # The rest: rules that ctpolicy does not model, and that may say it too.
    yield title, owner_of(table.family, table.name), _keeping(table, None)


def _place(table: Table, chain: Chain, rule: Rule) -> _Place:
    return chain.name, owner_of(table.family, table.name, chain.name, rule.comment)


def _says(rule: Rule) -> bool:
    return any(isinstance(statement, Notrack) for statement in rule.statements)


def _keeping(table: Table, kept: _Place | None) -> Table:
    """The table with only this place's `notrack`s, or with none."""

    def without(chain: Chain, rule: Rule) -> Rule:
        if not _says(rule) or (kept is not None and _place(table, chain, rule) == kept):
            return rule
        return replace(rule, statements=tuple(s for s in rule.statements if not isinstance(s, Notrack)))

    chains = (replace(chain, rules=tuple(without(chain, rule) for rule in chain.rules)) for chain in table.chains)
    return replace(table, chains=tuple(chains))
