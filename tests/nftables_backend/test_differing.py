"""Where two tables are looked at: as few packets as a change is about, and all of them where it cannot be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctpolicy.nftables.alignment import Alignment
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.differing import treatments_where_they_differ
from ctpolicy.nftables.following import Names
from ctpolicy.nftables.ruleset import Chain, Match, Payload, Rule, Table, Verdict, VerdictKind
from ctpolicy.nftables.sameness import Contents, Numbers, shape
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from policies import policy

BEFORE = """
groups:
  nodes: [192.168.7.0/24, 10.1.0.0/16]
bypass:
  - {name: metrics, host-service: tcp/9100, peers: nodes}
  - {name: busy, ports: udp/20000-20999, paths: [forward]}
track:
  - {name: ssh, host-service: tcp/22}
"""

CHANGES = {
    "an address": ("10.1.0.0/16", "10.1.0.0/17", ["in tcp 10.1.200.1:5 -> 10.9.9.9:9100"]),
    "a port": ("tcp/9100", "tcp/9101", ["in tcp 10.1.0.1:5 -> 10.9.9.9:9100", "in tcp 10.1.0.1:5 -> 10.9.9.9:9101"]),
    "a path": (
        "[forward]",
        "[in, out]",
        ["forward udp 1.1.1.1:5 -> 2.2.2.2:20000", "in udp 1.1.1.1:5 -> 2.2.2.2:20000"],
    ),
}
ELSEWHERE = ["in tcp 192.168.7.9:5 -> 10.9.9.9:9102", "in udp 1.1.1.1:5 -> 2.2.2.2:53", "in gre 1.1.1.1 -> 2.2.2.2"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_where_it_is_and_nothing_else_is_followed(change: str) -> None:
    one, other = _tables(change)
    before, after = (treatment.untracked.certainly for treatment in treatments_where_they_differ(one, other))
    for text in CHANGES[change][2]:
        assert (parse_packet(text) in before) is not (parse_packet(text) in after)
    for text in ELSEWHERE:
        assert parse_packet(text) not in before | after


def test_equal_tables_are_not_followed_at_all() -> None:
    table = compile_policy(policy(BEFORE))
    for treatment in treatments_where_they_differ(table, table):
        assert treatment.untracked.possibly == PacketSpace.none()


def test_names_of_chains_and_maps_between_make_no_difference() -> None:
    table = compile_policy(policy(BEFORE))
    renamed = _renamed(table)
    assert renamed != table
    for treatment in treatments_where_they_differ(renamed, table):
        assert treatment.untracked.possibly == PacketSpace.none()


def test_a_chain_that_leads_to_itself_is_the_same_as_no_other() -> None:
    loop = Chain("loop", None, (Rule((Verdict(VerdictKind.JUMP, "loop"),)),))
    numbers: Numbers = {}
    one, other = (Contents(Names.of(Table("inet", "t", (loop,))), numbers) for _ in range(2))
    assert one.chain("loop") != other.chain("loop")


def test_rules_of_one_shape_are_pairs() -> None:
    rules = [Rule((Match(Payload("udp", "dport"), (port, port)), Verdict(VerdictKind.ACCEPT))) for port in (1, 2, 3)]
    assert shape(rules[0]) == shape(rules[1])
    tables = (Table("inet", "t", (Chain("c", None, (rules[0], rule)),)) for rule in rules[1:])
    assert Alignment(*tables).rules("c", "c") == [(rules[1], rules[2])]


def _tables(change: str) -> tuple[Table, Table]:
    old, new, _ = CHANGES[change]
    return compile_policy(policy(BEFORE)), compile_policy(policy(BEFORE.replace(old, new)))


def _renamed(table: Table) -> Table:
    """The same with other names for the chains between the base chains and the entries'."""

    def name(old: str | None) -> str | None:
        between = {chain.name for chain in table.chains if not chain.hook}
        return f"x_{old}" if old in between else old

    def verdict(old: Verdict) -> Verdict:
        return Verdict(old.kind, name(old.chain))

    def rule(old: Rule) -> Rule:
        return Rule(tuple(verdict(s) if isinstance(s, Verdict) else s for s in old.statements), old.comment)

    chains = tuple(Chain(name(c.name) or "", c.hook, tuple(map(rule, c.rules))) for c in table.chains)
    maps = tuple(replace(m, elements=tuple((key, verdict(to)) for key, to in m.elements)) for m in table.maps)
    return replace(table, chains=chains, maps=maps)
