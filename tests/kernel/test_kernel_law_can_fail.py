"""The kernel law sees each fault that a compiler may have: compiled rulesets are broken on purpose here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from ctpolicy.language.load import load_text
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.nftables.ruleset import (
    BaseHook,
    Chain,
    Element,
    Fib,
    Match,
    Meta,
    Notrack,
    Payload,
    Rule,
    Statement,
    Table,
    VerdictLookup,
)
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.testing.strategies import boundary_packets
from kernel.test_kernel_agrees_with_decide import Tally, differences

pytestmark = pytest.mark.kernel

POLICY = load_text("""
apiVersion: ctpolicy/v1
name: to-be-broken
bypass:
  - name: vxlan
    overlay: vxlan
    peers: [192.168.7.0/24, "fd00:7::/64"]
  - name: metrics
    host-service: tcp/9100-9110
    interfaces: [eth0, "bond*"]
  - name: memcached
    forward: tcp/11211
    clients: 10.128.0.0/14
track:
  - name: one-node
    match: {source: 192.168.7.9, both-ways: true}
""")


def without_output(table: Table) -> Table:
    return replace(table, chains=tuple(c for c in table.chains if not (c.hook and c.hook.hook == "output")))


def at_mangle_priority(table: Table) -> Table:
    def moved(hook: BaseHook | None) -> BaseHook | None:
        return hook and replace(hook, priority=-150)

    return replace(table, chains=tuple(replace(chain, hook=moved(chain.hook)) for chain in table.chains))


def with_a_wider_port(table: Table) -> Table:
    def widened(element: Element) -> Element:
        return (element[0], element[1] + 1) if isinstance(element, tuple) and element[0] in {4789, 9100} else element

    maps = (
        replace(m, flags=frozenset({"interval"}), elements=tuple((widened(e), verdict) for e, verdict in m.elements))
        for m in table.maps
    )
    return replace(table, maps=tuple(maps))


def with_directions_swapped(table: Table) -> Table:
    swapped = {"sport": "dport", "dport": "sport"}

    def swap(statement: Statement) -> Statement | None:
        match statement:
            case VerdictLookup(Payload(protocol, field), name):
                return VerdictLookup(Payload(protocol, swapped[field]), name)
        return statement

    return rewritten(table, swap)


def without_fib(table: Table) -> Table:
    return rewritten(table, lambda s: None if isinstance(s, Match) and isinstance(s.selector, Fib) else s)


def without_source_addresses(table: Table) -> Table:
    def is_source(statement: Statement) -> bool:
        return isinstance(statement, Match) and statement.selector in (Payload("ip", "saddr"), Payload("ip6", "saddr"))

    return rewritten(table, lambda s: None if is_source(s) else s)


def without_interfaces(table: Table) -> Table:
    def is_interface(statement: Statement) -> bool:
        return isinstance(statement, Match) and statement.selector in (Meta("iifname"), Meta("oifname"))

    return rewritten(table, lambda s: None if is_interface(s) else s)


def without_notrack(table: Table) -> Table:
    return rewritten(table, lambda s: None if isinstance(s, Notrack) else s)


def with_tracks_forgotten(table: Table) -> Table:
    def forgetful(chain: Chain) -> Chain:
        kept = tuple(rule for rule in chain.rules if "track_one-node" not in str(rule))
        return replace(chain, rules=kept)

    return replace(table, chains=tuple(map(forgetful, table.chains)))


def rewritten(table: Table, change: Callable[[Statement], Statement | None]) -> Table:
    def rule(old: Rule) -> Rule:
        return replace(old, statements=tuple(new for s in old.statements if (new := change(s)) is not None))

    return replace(table, chains=tuple(replace(chain, rules=tuple(map(rule, chain.rules))) for chain in table.chains))


def count_differences(oracle: Oracle, table: Table) -> int:
    packets = boundary_packets(POLICY, Random(1), 4000, can_be_sent)
    oracle.load(text(table))
    return len(differences(oracle, POLICY, packets, Tally()))


def test_the_compiled_ruleset_is_right(oracle: Oracle) -> None:
    assert count_differences(oracle, compile_policy(POLICY)) == 0


@pytest.mark.parametrize(
    "fault",
    [
        without_output,
        at_mangle_priority,
        with_a_wider_port,
        with_directions_swapped,
        without_fib,
        without_source_addresses,
        without_interfaces,
        without_notrack,
        with_tracks_forgotten,
    ],
)
def test_a_broken_ruleset_is_seen(oracle: Oracle, fault: Callable[[Table], Table]) -> None:
    broken = fault(compile_policy(POLICY))
    assert broken != compile_policy(POLICY)
    found = count_differences(oracle, broken)
    print(f"{found} of 4000 packets differ")
    assert found > 0
