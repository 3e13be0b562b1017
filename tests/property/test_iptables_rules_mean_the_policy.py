"""What a policy compiles to for iptables, with ipsets and without, leaves untracked exactly what the policy means."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from ctpolicy.iptables.compile import compile_policy
from ctpolicy.iptables.ours import BUILT_IN
from ctpolicy.iptables.ruleset import InSet, RawTable, RawTables, Verdict
from ctpolicy.iptables.space import raw_space
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.testing.strategies import policies


@settings(max_examples=8)  # of all ways and families; tests/kernel asks about more
@given(policies())
def test_the_space_of_the_rules_is_the_policys(policy: Policy) -> None:
    meant = bypass_space(policy)
    for with_sets in (True, False):
        space = raw_space(compile_policy(policy, with_sets))
        assert space.certainly == space.possibly == meant


ENTRIES = 60

LARGE = {
    "one port each": lambda n: f"host-service: tcp/{1000 + 7 * n}, peers: [10.0.{n % 250}.0/24, 10.9.9.{n % 200}]",
    "one port for all": lambda n: f"host-service: tcp/443, peers: [10.0.{n % 250}.0/24, 10.9.9.{n % 200}]",
    "ranges that overlap": lambda n: f"ports: udp/{1000 + 10 * n}-{1100 + 13 * n}",
    "protocols": lambda n: f"match: {{protocol: {n}, source: 10.0.{n % 250}.0/24, both-ways: true}}, acknowledge: x",
    "addresses alone": lambda n: f"match: {{source: 10.0.{n % 250}.0/24, both-ways: true}}, acknowledge: x",
    "half services, half clients": lambda n: f"{'host-client' if n % 2 else 'host-service'}: dccp/{1000 + n}",
}


@pytest.mark.parametrize("entry", LARGE.values(), ids=LARGE.keys())
@pytest.mark.parametrize("tracks", [0, 3, 30])
def test_trees_mean_the_same(entry: object, tracks: int) -> None:
    assert callable(entry)
    text = "apiVersion: ctpolicy/v1\nname: large\nprotect: [udp/9]\nbypass:\n"
    text += "".join(f"  - {{name: e{n}, {entry(n)}}}\n" for n in range(ENTRIES))
    text += "track:\n" if tracks else ""
    text += "".join(f"  - {{name: t{n}, host-service: tcp/{1003 + 2 * n}}}\n" for n in range(tracks))
    policy = load_text(text)
    meant = bypass_space(policy)
    for with_sets in (True, False):
        tables = compile_policy(policy, with_sets)
        space = raw_space(tables)
        assert space.certainly == space.possibly == meant
        assert longest_list(tables) <= (ENTRIES + 2 if entry is LARGE["protocols"] else 12)


def test_of_many_entries_that_ask_alike_only_the_first_is_asked() -> None:
    """Forty entries about one port were forty rules that each packet of it met."""
    text = "apiVersion: ctpolicy/v1\nname: p\nbypass:\n"
    text += "".join(f"  - {{name: e{n:02}, host-service: udp/{1000 - n}-{2000 + n}}}\n" for n in range(40))
    policy = load_text(text)
    tables = compile_policy(policy)
    space = raw_space(tables)
    assert space.certainly == space.possibly == bypass_space(policy)
    assert longest_list(tables) <= 12


DEEP = (
    lambda n: f"host-service: tcp/{1000 + 7 * n}, peers: [10.0.{n % 250}.0/24, 10.9.9.{n % 200}]",
    lambda n: (
        f"host-client: [tcp/{n * 6 + 6}-{n * 6 + 9}, udp/{n * 3 + 2}], peers: [10.1.{n % 250}.0/24, 'fd00:{n}::/64']"
    ),
    lambda n: f"forward: tcp/443, clients: [10.2.{n % 250}.0/24, 10.9.9.{n % 200}], servers: [11.0.{n}.7, 13.0.{n}.7]",
)


@pytest.mark.parametrize("entry", DEEP)
def test_chains_are_not_deeper_than_nf_tables_takes(entry: Callable[[int], str]) -> None:
    """Trees that followed each other by gotos were 27 chains deep, and iptables-nft refused them."""
    tables = compile_policy(load_text(deep_policy(entry, 60)))
    assert max(depth(table, name) for table in tables.tables.values() for name in BUILT_IN) <= 16


def deep_policy(entry: Callable[[int], str], entries: int) -> str:
    text = "apiVersion: ctpolicy/v1\nname: deep\nprotect: [udp/9]\nbypass:\n"
    text += "".join(f"  - {{name: e{n}, {entry(n)}}}\n" for n in range(entries))
    text += "  - {name: any, match: {source: 99.0.0.0/8, both-ways: true}, acknowledge: x}\ntrack:\n"
    return text + "".join(f"  - {{name: t{n}, {entry(3 * n)}}}\n" for n in range(entries // 4))


def depth(table: RawTable, name: str) -> int:
    """Chains that lead into each other from this one on, with it."""
    chain = table.chain(name)
    rules = chain.rules if chain else ()
    targets = {rule.target.chain for rule in rules if isinstance(rule.target, Verdict) and rule.target.chain}
    return 1 + max((depth(table, target) for target in targets), default=0)


def longest_list(tables: RawTables) -> int:
    """The most rules in one chain."""
    return max(len(chain.rules) for table in tables.tables.values() for chain in table.chains)


def test_a_list_that_is_a_group_is_one_set_for_all_entries() -> None:
    text = "apiVersion: ctpolicy/v1\nname: p\ngroups: {nodes: [10.0.0.1, 10.0.0.9]}\nbypass:\n"
    text += "".join(f"  - {{name: e{n}, host-service: tcp/{n + 1000}, peers: nodes}}\n" for n in range(3))
    tables = compile_policy(load_text(text))
    assert [one.name for one in tables.sets] == ["ctpolicy-b4-nodes"]
    named = {
        match.name
        for table in tables.tables.values()
        for chain in table.chains
        for rule in chain.rules
        for match in rule.matches
        if isinstance(match, InSet)
    }
    assert named == {"ctpolicy-b4-nodes"}
