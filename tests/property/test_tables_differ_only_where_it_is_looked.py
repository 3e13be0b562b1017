"""Law: two tables differ in the packets that are found by looking only where they may differ, and in no others.

The tables are compiled policies, tampered ones, and tables of random rules; the other side of the law is the
difference of their whole spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.differing import treatments_where_they_differ
from ctpolicy.nftables.ruleset import (
    ACCEPT,
    Chain,
    Notrack,
    Other,
    Rule,
    Set,
    Table,
    Verdict,
    VerdictKind,
    VerdictMap,
)
from ctpolicy.nftables.space import table_space
from ctpolicy.testing.strategies import policies
from property.test_the_space_of_rules_is_what_each_packet_meets import tables

Draw = Callable[[st.SearchStrategy[Any]], Any]
"""What draws an example: that of `st.data()` is of another type than that of `st.composite`."""

EMPTY = Table("inet", "ctpolicy")


def assert_the_same_difference(one: Table, other: Table) -> None:
    before, after = table_space(one), table_space(other)
    found = tuple(treatment.untracked for treatment in treatments_where_they_differ(one, other))
    for left, came, found_left, found_came in ((before, after, *found), (after, before, *found[::-1])):
        assert found_came.certainly - found_left.possibly == came.certainly - left.possibly
        assert found_came.certainly - found_left.certainly == came.certainly - left.certainly
        assert found_came.possibly - found_left.possibly == came.possibly - left.possibly


@given(policies(), policies())
def test_two_policies(one: Policy, other: Policy) -> None:
    assert_the_same_difference(compile_policy(one), compile_policy(other))


@given(policies())
def test_a_policy_and_nothing(policy: Policy) -> None:
    table = compile_policy(policy)
    assert_the_same_difference(EMPTY, table)
    assert_the_same_difference(table, EMPTY)


@settings(max_examples=15)
@given(policies(), st.data())
def test_a_policy_and_its_table_tampered_with(policy: Policy, data: st.DataObject) -> None:
    table = compile_policy(policy)
    tampered = table
    for _ in range(data.draw(st.integers(1, 3))):
        tampered = data.draw(st.sampled_from(TAMPERINGS))(tampered, data.draw)
    assert_the_same_difference(tampered, table)


@settings(max_examples=15)
@given(tables(), tables(), st.data())
def test_random_rules(one: Table, other: Table, data: st.DataObject) -> None:
    assert_the_same_difference(one, other)
    assert_the_same_difference(one, data.draw(st.sampled_from(TAMPERINGS))(one, data.draw))


def _chain_of(table: Table, draw: Draw) -> Chain | None:
    return draw(st.sampled_from(table.chains)) if table.chains else None


def _with_rules(table: Table, chain: Chain | None, rules: tuple[Rule, ...]) -> Table:
    return replace(table, chains=tuple(replace(c, rules=rules) if c is chain else c for c in table.chains))


def rule_gone(table: Table, draw: Draw) -> Table:
    chain = _chain_of(table, draw)
    if chain is None or not chain.rules:
        return table
    at = draw(st.integers(0, len(chain.rules) - 1))
    return _with_rules(table, chain, chain.rules[:at] + chain.rules[at + 1 :])


def rule_came(table: Table, draw: Draw) -> Table:
    chain = _chain_of(table, draw)
    if chain is None:
        return table
    known = [rule for other in table.chains if other.hook for rule in other.rules]
    known += [Rule((Notrack(),)), Rule((ACCEPT,)), Rule((Verdict(VerdictKind.RETURN),))]
    if not chain.hook:
        known = known[-3:]  # what a base chain has may lead back to this one
    at = draw(st.integers(0, len(chain.rules)))
    return _with_rules(table, chain, (*chain.rules[:at], draw(st.sampled_from(known)), *chain.rules[at:]))


def rules_turned_round(table: Table, draw: Draw) -> Table:
    chain = _chain_of(table, draw)
    return table if chain is None else _with_rules(table, chain, chain.rules[::-1])


def rule_without_a_statement(table: Table, draw: Draw) -> Table:
    chain = _chain_of(table, draw)
    if chain is None or not chain.rules:
        return table
    at = draw(st.integers(0, len(chain.rules) - 1))
    statements = list(chain.rules[at].statements)
    if statements:
        statements.pop(draw(st.integers(0, len(statements) - 1)))
    return _with_rules(table, chain, (*chain.rules[:at], Rule(tuple(statements)), *chain.rules[at + 1 :]))


def element_gone(table: Table, draw: Draw) -> Table:
    every: list[Set | VerdictMap] = [*table.sets, *table.maps]
    holders = [holder for holder in every if holder.elements]
    if not holders:
        return table
    holder = draw(st.sampled_from(holders))
    at = draw(st.integers(0, len(holder.elements) - 1))
    return _with_holder(table, holder, holder.elements[:at] + holder.elements[at + 1 :])


def verdicts_swapped(table: Table, draw: Draw) -> Table:
    maps = [lookup for lookup in table.maps if len(lookup.elements) > 1]
    if not maps:
        return table
    lookup = draw(st.sampled_from(maps))
    (one, first), (other, second), *rest = lookup.elements
    return _with_holder(table, lookup, ((one, second), (other, first), *rest))


def filled_by_rules(table: Table, draw: Draw) -> Table:
    if not table.sets and not table.maps:
        return table
    holders: list[Set | VerdictMap] = [*table.sets, *table.maps]
    holder = draw(st.sampled_from(holders))
    return _replaced(table, holder, replace(holder, flags=frozenset({"dynamic"})))


def hook_changed(table: Table, draw: Draw) -> Table:
    chains = [chain for chain in table.chains if chain.hook]
    if not chains:
        return table
    chain = draw(st.sampled_from(chains))
    assert chain.hook
    changes = st.sampled_from([{"hook": "input"}, {"priority": -150}, {"priority": -310}, {"hook": "output"}])
    hook = replace(chain.hook, **draw(changes))
    return replace(table, chains=tuple(replace(c, hook=hook) if c is chain else c for c in table.chains))


def chain_gone(table: Table, draw: Draw) -> Table:
    chain = _chain_of(table, draw)
    return replace(table, chains=tuple(other for other in table.chains if other is not chain))


def asleep(table: Table, _: Draw) -> Table:
    return replace(table, others=(Other("flags", "dormant"),))


def of_one_family(table: Table, _: Draw) -> Table:
    return replace(table, family="ip")


def _with_holder(table: Table, holder: Set | VerdictMap, elements: object) -> Table:
    return _replaced(table, holder, replace(holder, elements=elements))  # type: ignore[arg-type] # of its own kind


def _replaced(table: Table, holder: Set | VerdictMap, changed: Set | VerdictMap) -> Table:
    holders: list[Set | VerdictMap] = [*table.sets, *table.maps]
    swap = [changed if other is holder else other for other in holders]
    sets = tuple(other for other in swap if isinstance(other, Set))
    return replace(table, sets=sets, maps=tuple(other for other in swap if isinstance(other, VerdictMap)))


TAMPERINGS = (
    rule_gone,
    rule_came,
    rules_turned_round,
    rule_without_a_statement,
    element_gone,
    verdicts_swapped,
    filled_by_rules,
    hook_changed,
    chain_gone,
    asleep,
    of_one_family,
)


def test_a_map_that_rules_fill_may_do_anything_to_packets_without_its_field() -> None:
    """A counterexample that the law above found: the map was taken to concern packets of its family alone."""
    clients = "".join(f"  - {{name: of-{at}, host-service: tcp/50-60, peers: 10.0.0.{at}}}\n" for at in range(9))
    table = compile_policy(load_text(f"apiVersion: ctpolicy/v1\nname: found\nbypass:\n{clients}"))
    for lookup in table.maps:
        filled = _replaced(table, lookup, replace(lookup, flags=frozenset({"dynamic"})))
        assert_the_same_difference(filled, table)
        assert_the_same_difference(table, filled)
