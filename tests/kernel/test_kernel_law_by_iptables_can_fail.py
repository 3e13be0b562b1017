"""The kernel law for iptables sees each fault that a compiler may have: compiled tables are broken on purpose here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest

from ctpolicy.iptables.ours import BUILT_IN
from ctpolicy.iptables.ruleset import (
    Address,
    AddressType,
    Chain,
    End,
    InSet,
    Interface,
    IpSet,
    Match,
    Notrack,
    Port,
    RawTables,
    Rule,
    Target,
    Verdict,
    VerdictKind,
)
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.packetspace.fields import Family
from ctpolicy.testing.strategies import boundary_packets
from kernel.raw_oracle import WAYS, RawOracle, Way, raw_oracle
from kernel.test_kernel_agrees_with_decide import Tally, differences
from policies import policy

pytestmark = pytest.mark.kernel

_MANY = "".join(f"  - {{name: e{port}, ports: udp/{port}}}\n" for port in range(6000, 6012))

POLICY = policy(f"""
bypass:
{_MANY}
  - name: vxlan
    overlay: vxlan
    peers: [192.168.7.0/24, 10.9.0.0/16, "fd00:7::/64"]
  - name: of-any-protocol
    match: {{source: 128.0.0.0/1, both-ways: true}}
    acknowledge: it is what a track entry has to win against
  - name: metrics
    host-service: tcp/9100-9110
    interfaces: [eth0, "bond*"]
  - name: memcached
    forward: tcp/11211
    clients: 10.128.0.0/14
track:
  - name: one-node
    match: {{source: 192.168.7.9, both-ways: true}}
  - name: one-port
    host-service: udp/6003
""")
"""As many entries as make a tree, and a gate where there is ipset."""

PACKETS = 2000


def rewritten(
    tables: RawTables, target: Callable[[Rule], Target | None], match: Callable[[Match], Match | None]
) -> RawTables:
    """All of our rules, each with another target, and other matches or fewer."""

    def rule(old: Rule) -> Rule:
        return replace(
            old, target=target(old), matches=tuple(new for m in old.matches if (new := match(m)) is not None)
        )

    def chain(old: Chain) -> Chain:
        return old if old.name in BUILT_IN else replace(old, rules=tuple(map(rule, old.rules)))

    changed = {f: replace(table, chains=tuple(map(chain, table.chains))) for f, table in tables.tables.items()}
    return replace(tables, tables=changed)


def with_matches(tables: RawTables, match: Callable[[Match], Match | None]) -> RawTables:
    return rewritten(tables, lambda rule: rule.target, match)


def without_a_jump_at_output(tables: RawTables) -> RawTables:
    changed = {f: replace(t, chains=tuple(c for c in t.chains if c.name != "OUTPUT")) for f, t in tables.tables.items()}
    return replace(tables, tables=changed)


def without_ipv6(tables: RawTables) -> RawTables:
    return replace(tables, tables={Family.IPV4: tables.tables[Family.IPV4]})


def without_notrack(tables: RawTables) -> RawTables:
    return rewritten(
        tables, lambda rule: None if isinstance(rule.target, Notrack) else rule.target, lambda match: match
    )


def with_tracks_forgotten(tables: RawTables) -> RawTables:
    return rewritten(tables, lambda rule: None if rule.comment == "one-node" else rule.target, lambda match: match)


def with_gotos_as_jumps(tables: RawTables) -> RawTables:
    """Then a RETURN of a track entry goes on with the bypass entries."""

    def jumping(rule: Rule) -> Target | None:
        if isinstance(rule.target, Verdict) and rule.target.kind is VerdictKind.GOTO:
            return replace(rule.target, kind=VerdictKind.JUMP)
        return rule.target

    return rewritten(tables, jumping, lambda match: match)


def with_a_wider_port(tables: RawTables) -> RawTables:
    def wider(match: Match) -> Match:
        return replace(match, interval=(match.interval[0] - 1, match.interval[1])) if isinstance(match, Port) else match

    return with_matches(tables, wider)


def with_directions_swapped(tables: RawTables) -> RawTables:
    swapped = {End.SOURCE: End.DESTINATION, End.DESTINATION: End.SOURCE}
    return with_matches(tables, lambda m: replace(m, end=swapped[m.end]) if isinstance(m, Port) else m)


def without_destination_types(tables: RawTables) -> RawTables:
    return with_matches(tables, lambda match: None if isinstance(match, AddressType) else match)


def without_interfaces(tables: RawTables) -> RawTables:
    return with_matches(tables, lambda match: None if isinstance(match, Interface) else match)


def without_addresses(tables: RawTables) -> RawTables:
    return with_matches(tables, lambda match: None if isinstance(match, Address | InSet) else match)


def with_fewer_elements(tables: RawTables) -> RawTables:
    """The first element of each set left out; without sets, the rules of the first peers."""

    def fewer(one: IpSet) -> IpSet:
        return replace(one, values=type(one.values)(one.values.intervals[1:]))

    def first_peer(rule: Rule) -> Target | None:
        texts = [match.prefix for match in rule.matches if isinstance(match, Address)]
        return None if any(last - first in {(1 << 16) - 1, (1 << 64) - 1} for first, last in texts) else rule.target

    tables = rewritten(tables, first_peer, lambda match: match)
    return replace(tables, sets=tuple(map(fewer, tables.sets)))


FAULTS = (
    without_a_jump_at_output,
    without_ipv6,
    without_notrack,
    with_tracks_forgotten,
    with_gotos_as_jumps,
    with_a_wider_port,
    with_directions_swapped,
    without_destination_types,
    without_interfaces,
    without_addresses,
    with_fewer_elements,
)


@pytest.fixture(scope="module", params=WAYS, ids=str)
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[RawOracle, Way]]:
    with raw_oracle(request.param.variant) as oracle:
        yield oracle, request.param


def count_differences(oracle: RawOracle, tables: RawTables) -> int:
    packets = boundary_packets(POLICY, Random(1), PACKETS, can_be_sent)
    oracle.load(tables)
    return len(differences(oracle.asked, POLICY, packets, Tally()))


def test_the_compiled_tables_are_right(asked: tuple[RawOracle, Way]) -> None:
    oracle, way = asked
    assert count_differences(oracle, way.compile(POLICY)) == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_tables_are_seen(asked: tuple[RawOracle, Way], fault: Callable[[RawTables], RawTables]) -> None:
    oracle, way = asked
    broken = fault(way.compile(POLICY))
    assert broken != way.compile(POLICY)
    found = count_differences(oracle, broken)
    print(f"{found} of {PACKETS} packets differ")
    assert found > 0
