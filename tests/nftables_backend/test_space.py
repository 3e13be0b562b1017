"""What rules mean that ctpolicy never makes: drops, other tables, and questions that it does not model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctpolicy.nftables.ruleset import (
    ACCEPT,
    BaseHook,
    Chain,
    Match,
    Meta,
    Notrack,
    Payload,
    Rule,
    Set,
    SetReference,
    Statement,
    Table,
    Unmodelled,
    Verdict,
    VerdictKind,
    VerdictLookup,
)
from ctpolicy.nftables.space import ruleset_space, table_space
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from policies import METRICS, table

UDP = Match(Meta("l4proto"), (17, 17))
IN = parse_packet("in udp 192.0.2.1:1 -> 192.0.2.2:2")
IN_V6 = parse_packet("in udp [2001:db8::1]:1 -> [2001:db8::2]:2")
OUT = parse_packet("out udp 192.0.2.1:1 -> 192.0.2.2:2")


def foreign(*rules: tuple[Statement, ...], family: str = "inet", hook: str = "prerouting", **of_hook: object) -> Table:
    """A table of one base chain."""
    base = replace(BaseHook("filter", hook, -300), **of_hook)  # type: ignore[arg-type]
    return Table(family, "foreign", (Chain("raw", base, tuple(map(Rule, rules))),))


def test_a_rule_is_about_its_hook() -> None:
    space = table_space(foreign((UDP, Notrack()))).certainly
    assert IN in space
    assert OUT not in space


def test_what_comes_after_conntrack_means_nothing() -> None:
    assert not table_space(foreign((Notrack(),), priority=-200)).possibly
    assert not table_space(foreign((Notrack(),), hook="forward")).possibly


@pytest.mark.parametrize(("family", "hook"), [("netdev", "ingress"), ("inet", "ingress"), ("bridge", "prerouting")])
def test_what_is_untracked_before_ip_is_possible_and_never_certain(family: str, hook: str) -> None:
    space = table_space(foreign((UDP, Notrack()), family=family, hook=hook))
    assert not space.certainly
    assert IN in space.possibly
    assert IN_V6 in space.possibly
    assert OUT not in space.possibly
    assert not table_space(foreign((UDP, ACCEPT), family=family, hook=hook)).possibly


def test_a_dropped_packet_is_not_untracked() -> None:
    assert not table_space(foreign((Notrack(), Verdict(VerdictKind.DROP)))).possibly
    assert not table_space(foreign((Notrack(),), policy="drop")).possibly
    assert table_space(foreign((Notrack(), ACCEPT), policy="drop")).certainly


def test_an_ip_table_is_about_ipv4() -> None:
    space = table_space(foreign((UDP, Notrack()), family="ip")).certainly
    assert IN in space
    assert IN_V6 not in space
    assert not table_space(foreign((Notrack(),), family="bridge", hook="input")).possibly
    assert not table_space(foreign((Notrack(),), family="arp", hook="input")).possibly


def test_a_table_after_another_sees_what_that_accepted_and_not_what_it_dropped() -> None:
    drops = foreign((UDP, Verdict(VerdictKind.DROP)), (ACCEPT,))
    untracks = replace(foreign((Notrack(),), priority=-290), name="later")
    both = ruleset_space((drops, untracks))
    assert both.certainly == both.possibly
    assert IN not in both.certainly
    assert parse_packet("in tcp 192.0.2.1:1 -> 192.0.2.2:2") in both.certainly


@pytest.mark.parametrize(
    "asked",
    [
        Match(Meta("mark"), "1"),
        Match(Payload("ip", "saddr"), SetReference("nowhere")),
        Match(Payload("th", "dport"), (1, 2)),
        Unmodelled('{"limit":{"rate":5}}'),
        Unmodelled('{"mangle":{"key":{"meta":{"key":"mark"}},"value":{"ct":{"key":"mark"}}}}'),
    ],
)
def test_what_is_asked_and_not_modelled_leaves_both_possible(asked: Statement) -> None:
    gre = Match(Meta("l4proto"), (47, 47))
    space = table_space(foreign((Match(Meta("nfproto"), "ipv4"), gre, asked, Notrack())))
    packet = parse_packet("in gre 192.0.2.1 -> 192.0.2.2")
    assert not space.certainly
    assert packet in space.possibly
    assert IN not in space.possibly


def test_what_is_asked_twice_with_the_same_end_is_certain() -> None:
    mark = Match(Meta("mark"), "1")
    space = table_space(foreign((mark, Notrack()), (Notrack(),)))
    assert space.certainly == space.possibly
    assert IN in space.certainly


@pytest.mark.parametrize(
    "statement",
    [
        Unmodelled('{"xt":{"name":"CT","type":"target"}}'),
        Unmodelled('{"vmap":{"data":{"set":[]},"key":{"meta":{"key":"mark"}}}}'),
        Unmodelled('{"mangle":{"key":{"payload":{"field":"daddr","protocol":"ip"}},"value":"192.0.2.1"}}'),
        VerdictLookup(Meta("l4proto"), "nowhere"),
        Verdict(VerdictKind.JUMP, "nowhere"),
    ],
)
def test_a_statement_that_may_do_anything_leaves_everything_possible(statement: Statement) -> None:
    space = table_space(foreign((UDP, statement)))
    assert not space.certainly
    assert IN in space.possibly
    assert parse_packet("in tcp 192.0.2.1:1 -> 192.0.2.2:2") not in space.possibly


@pytest.mark.parametrize(
    "statement",
    [
        '{"log":null}',
        '{"counter":"named"}',
        '{"mangle":{"key":{"meta":{"key":"mark"}},"value":{"|":[{"meta":{"key":"mark"}},524288]}}}',
    ],
)
def test_a_log_a_counter_and_a_mark_change_nothing(statement: str) -> None:
    space = table_space(foreign((UDP, Unmodelled(statement), Notrack())))
    assert space.certainly == space.possibly == table_space(foreign((UDP, Notrack()))).certainly


def test_a_set_whose_elements_come_and_go_is_no_answer() -> None:
    given = foreign((Match(Payload("ip", "saddr"), SetReference("seen")), Notrack()))
    elements = ((0xC0000201, 0xC0000201),)
    steady = table_space(replace(given, sets=(Set("seen", "ipv4_addr", frozenset(), elements),)))
    passing = table_space(replace(given, sets=(Set("seen", "ipv4_addr", frozenset({"timeout"}), elements),)))
    assert IN in steady.certainly
    assert not passing.certainly
    assert IN in passing.possibly


def test_a_chain_that_leads_to_itself_is_followed_to_an_end() -> None:
    loop = Chain("loop", None, (Rule((Verdict(VerdictKind.JUMP, "loop"),)),))
    entered = foreign((Verdict(VerdictKind.JUMP, "loop"),))
    space = table_space(replace(entered, chains=(*entered.chains, loop)))
    assert not space.certainly


def test_no_table_leaves_nothing_untracked() -> None:
    assert not ruleset_space(()).possibly


@pytest.mark.parametrize("change", ["element", "verdict", "priority", "rule"])
def test_a_table_that_somebody_changed_means_something_else(change: str) -> None:
    """And the difference is exactly in what was changed."""
    given = table(METRICS)
    ports = next(named for named in given.maps if named.name.endswith("dport"))
    (key, _), *others = ports.elements
    match change:
        case "element":
            changed = replace(ports, elements=(*others,))
        case "verdict":
            changed = replace(ports, elements=((key, ACCEPT), *others))
        case _:
            changed = ports
    chains = given.chains
    if change == "priority":
        chains = tuple(
            replace(chain, hook=replace(chain.hook, priority=-150)) if chain.hook else chain for chain in chains
        )
    if change == "rule":
        chains = tuple(chain if chain.hook else replace(chain, rules=()) for chain in chains)
    maps = tuple(changed if named is ports else named for named in given.maps)
    before, after = table_space(given), table_space(replace(given, chains=chains, maps=maps))
    assert after.certainly == after.possibly
    assert after != before
    lost = before.certainly - after.certainly
    assert lost
    if change in {"element", "verdict"}:
        for box in lost.describe(50).boxes:
            told = PacketSpace.of_boxes([box])
            witness = told.witness()
            assert witness is not None
            assert isinstance(key, tuple)
            assert key[0] in {witness.destination_port, witness.source_port}
