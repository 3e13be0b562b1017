"""Law: whatever the rules, a table's space holds the packets that leave it untracked when followed one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.nftables.evaluate import Tracer
from ctpolicy.nftables.matches import DESTINATION_TYPE
from ctpolicy.nftables.names import TAKEN_BY_HOST
from ctpolicy.nftables.ruleset import (
    BaseHook,
    Chain,
    Counter,
    Match,
    Meta,
    Notrack,
    Operand,
    Payload,
    Rule,
    Selector,
    Set,
    SetReference,
    Statement,
    Table,
    Verdict,
    VerdictKind,
    VerdictLookup,
    VerdictMap,
)
from ctpolicy.nftables.space import packet_outcome, table_space
from ctpolicy.packetspace.intervals import Interval
from ctpolicy.packetspace.packet import parse_packet

INNER = 4
"""Chains that are jumped to; each leads to later ones alone, as the kernel demands."""

PACKETS = [
    parse_packet(f"{path} {protocol} {source}{port[0]} -> {destination}{port[1]}{device}")
    for path in ("in", "forward", "out")
    for source, destination in (("10.0.0.1", "10.0.0.9"), ("10.0.0.9", "10.0.0.1"), ("[fd00::1]", "[fd00::9]"))
    for protocol, port in (("tcp", (":22", ":99")), ("udp", (":99", ":22")), ("udp", (":5", ":5")), ("gre", ("", "")))
    for device in ("", " dev eth0", " dev eth1")
]

SETS = (
    Set("addresses", "ipv4_addr", frozenset({"interval"}), ((0x0A000000, 0x0A000003), (0x0A000009, 0x0A000009))),
    Set("devices", "ifname", frozenset(), ("eth0", "wlan*")),
    Set("ports", "inet_service", frozenset({"interval"}), ((5, 30),)),
    Set("protocols", "inet_proto", frozenset(), ((6, 6), (47, 47))),
    Set("types", "fib_addrtype", frozenset(), TAKEN_BY_HOST),
)
MATCHES: list[tuple[Selector, Operand]] = [
    (Payload("ip", "saddr"), (0x0A000000, 0x0A000007)),
    (Payload("ip", "daddr"), SetReference("addresses")),
    (Payload("ip6", "saddr"), (0xFD << 120, (0xFE << 120) - 1)),
    (Payload("tcp", "sport"), (22, 22)),
    (Payload("udp", "dport"), SetReference("ports")),
    (Payload("th", "dport"), (5, 22)),
    (Meta("l4proto"), (17, 17)),
    (Meta("l4proto"), SetReference("protocols")),
    (Meta("nfproto"), "ipv4"),
    (Meta("iifname"), "eth*"),
    (Meta("oifname"), SetReference("devices")),
    (DESTINATION_TYPE, SetReference("types")),
    (Meta("mark"), "1"),
]


def verdicts(after: int) -> st.SearchStrategy[Verdict]:
    """Verdicts in a chain of this number. None drops: a packet that is dropped is neither tracked nor untracked."""
    plain = [VerdictKind.ACCEPT, VerdictKind.RETURN, VerdictKind.CONTINUE]
    found = [Verdict(kind) for kind in plain]
    for chain in range(after + 1, INNER):
        found += [Verdict(kind, f"chain_{chain}") for kind in (VerdictKind.JUMP, VerdictKind.GOTO)]
    return st.sampled_from(found)


@st.composite
def rules(draw: st.DrawFn, after: int, maps: list[VerdictMap]) -> Rule:
    statements: list[Statement] = [Counter()] if draw(st.booleans()) else []
    for selector, operand in draw(st.lists(st.sampled_from(MATCHES), max_size=2)):
        statements.append(Match(selector, operand, draw(st.booleans())))
    if draw(st.booleans()):
        statements.append(Notrack())
    how = draw(st.sampled_from(["nothing", "verdict", "map"]))
    if how == "verdict":
        statements.append(draw(verdicts(after)))
    if how == "map":
        key, key_type, elements = draw(st.sampled_from(KEYS))
        name = f"map_{len(maps)}"
        pairs = tuple((element, draw(verdicts(after))) for element in elements)
        maps.append(VerdictMap(name, key_type, frozenset({"interval"}), pairs))
        statements.append(VerdictLookup(key, name))
    return Rule(tuple(statements))


KEYS: list[tuple[Selector, str, tuple[Interval, ...]]] = [
    (Payload("udp", "dport"), "inet_service", ((5, 5), (20, 30))),
    (Payload("tcp", "sport"), "inet_service", ((0, 21), (22, 22))),
    (Payload("ip", "saddr"), "ipv4_addr", ((0x0A000000, 0x0A000001), (0x0A000009, 0x0A0000FF))),
    (Meta("l4proto"), "inet_proto", ((6, 6), (17, 17))),
]


@st.composite
def tables(draw: st.DrawFn) -> Table:
    maps: list[VerdictMap] = []
    chains = []
    for number in range(INNER):
        chains.append(Chain(f"chain_{number}", None, tuple(draw(st.lists(rules(number, maps), max_size=3)))))
    for hook, priority in (("prerouting", -300), ("prerouting", -250), ("output", -300), ("output", -200)):
        own = tuple(draw(st.lists(rules(-1, maps), max_size=4)))
        chains.append(Chain(f"{hook}_{-priority}", BaseHook("filter", hook, priority), own))
    return Table("inet", "foreign", tuple(chains), SETS, tuple(maps))


@settings(max_examples=50)
@given(tables())
def test_the_space_of_rules_is_what_each_packet_meets(table: Table) -> None:
    space, tracer = table_space(table), Tracer(table)
    assert space.certainly <= space.possibly
    for packet in PACKETS:
        untracked = tracer.trace(packet).untracked
        if untracked is not None:
            assert (packet in space.possibly) == untracked, packet
        # What cannot be told one by one may be told for all, where the unknown makes no difference.
        if packet in space.certainly:
            assert untracked is not False, packet


@settings(max_examples=50)
@given(tables())
def test_one_packet_followed_alone_fares_as_it_does_among_all(table: Table) -> None:
    space = table_space(table)
    for packet in PACKETS:
        alone = packet_outcome(table, packet)
        assert alone.is_certainly_untracked is (packet in space.certainly), packet
        assert alone.is_possibly_untracked is (packet in space.possibly), packet
