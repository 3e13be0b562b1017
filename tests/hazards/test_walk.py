"""The walk through rules that a person wrote."""

from __future__ import annotations

from time import perf_counter

from ctpolicy.hazards.fates import LOST, Outcome
from ctpolicy.hazards.routes import Route
from ctpolicy.hazards.rules import HostRules
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.walk import walk
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.packetspace.space import PacketSpace
from hazards.listings import ACCEPT, DROP, Expression, chain, host, jump, match, meta, payload, state, table

ACCEPTED = {Outcome.ACCEPTED}


def fates(read: HostRules, notation: str, situation: Situation) -> set[tuple[Outcome, str]]:
    packet = parse_packet(notation)
    found = walk(read, Route.of(packet), situation, PacketSpace.of_packet(packet)).fates
    return {(fate.outcome, fate.step.rule.text if fate.step else "") for fate in found}


STRICT = host(
    table(
        "firewall",
        {
            "input": chain(
                [state("established", "related"), ACCEPT],
                [state("invalid"), DROP],
                [match(payload("udp dport"), 53), ACCEPT],
                [match(payload("tcp dport"), 22), jump("log", "goto")],
                [ACCEPT, match(payload("tcp dport"), 1)],
                hook="input",
                policy="drop",
            ),
            "log": chain([{"log": None}]),
        },
    )
)


def test_reply_is_dropped_once_it_is_untracked() -> None:
    read = host(table("fw", {"in": chain([state("established", "related"), ACCEPT], hook="input", policy="drop")}))
    reply = "in udp 192.0.2.1:53 -> 198.51.100.1:40000"
    assert fates(read, reply, Situation.REPLY) == {(Outcome.ACCEPTED, "")}
    assert fates(read, reply, Situation.UNTRACKED) == {(Outcome.DROPPED, "policy drop")}
    assert fates(read, "in icmp 192.0.2.1 -> 198.51.100.1", Situation.INVALID) == {(Outcome.DROPPED, "policy drop")}


def test_goto_does_not_come_back() -> None:
    assert fates(STRICT, "in tcp 192.0.2.1:9 -> 192.0.2.2:22", Situation.NEW) == {(Outcome.DROPPED, "policy drop")}
    assert fates(STRICT, "in tcp 192.0.2.1:9 -> 192.0.2.2:23", Situation.NEW) == {(Outcome.ACCEPTED, "")}


def test_only_the_first_packet_of_a_flow_meets_nat() -> None:
    nat = {"redirect": {"port": 8080}}
    read = host(table("nat", {"pre": chain([nat], hook="prerouting", priority=-100, kind="nat")}))
    for situation in Situation:
        expected = Outcome.TRANSLATED if situation is Situation.NEW else Outcome.ACCEPTED
        ((outcome, _),) = fates(read, "in tcp 192.0.2.1:9 -> 192.0.2.2:80", situation)
        assert outcome is expected


def test_nat_is_asked_at_its_own_place_whatever_its_priority() -> None:
    """The kernel asks all nat chains of a hook at once (since 4.18): a filter at 0 comes after one at 300."""
    nat: Expression = {"redirect": {"port": 8080}}
    read = host(
        table("nat", {"pre": chain([nat], hook="prerouting", priority=300, kind="nat")}),
        table("fw", {"pre": chain([DROP], hook="prerouting", priority=0)}),
    )
    ((outcome, _),) = fates(read, "in tcp 192.0.2.1:9 -> 192.0.2.2:80", Situation.NEW)
    assert outcome is Outcome.TRANSLATED


def test_before_conntrack_every_packet_looks_invalid() -> None:
    rules = chain([state("invalid"), DROP], hook="prerouting", priority=-300)
    assert fates(host(table("raw", {"pre": rules})), "in tcp 192.0.2.1:9 -> 192.0.2.2:80", Situation.NEW) == {
        (Outcome.DROPPED, "ct state invalid drop")
    }


def test_accept_ends_one_base_chain_and_drop_all() -> None:
    read = host(
        table("one", {"in": chain([ACCEPT], hook="input", priority=0)}),
        table("two", {"in": chain([DROP], hook="input", priority=10)}),
    )
    assert fates(read, "in tcp 192.0.2.1:9 -> 192.0.2.2:80", Situation.NEW) == {(Outcome.DROPPED, "drop")}


def test_mark_that_nobody_knows_leaves_it_open() -> None:
    read = host(table("fw", {"in": chain([match(meta("mark"), 1), DROP], hook="input")}))
    assert fates(read, "in tcp 192.0.2.1:9 -> 192.0.2.2:80", Situation.NEW) == {
        (Outcome.DROPPED, "meta mark 1 drop"),
        (Outcome.ACCEPTED, ""),
    }


def test_both_ways_that_come_together_are_certain_again() -> None:
    rules = chain([match(meta("mark"), 1), jump("other")], [ACCEPT], hook="input", policy="drop")
    found = walk(host(table("fw", {"in": rules, "other": chain()})), Route.IN, Situation.NEW, PacketSpace.all())
    assert found.certainly(ACCEPTED) == Route.IN.packets
    assert not any(fate.doubt for fate in found.fates)


def test_outgoing_interface_of_forwarded_packets_is_not_known() -> None:
    rules = chain([match(meta("oifname"), "eth1"), ACCEPT], hook="forward", policy="drop")
    found = walk(host(table("fw", {"f": rules})), Route.FORWARD, Situation.NEW, PacketSpace.all())
    assert found.possibly(ACCEPTED) == found.possibly(LOST) == Route.FORWARD.packets
    assert not found.certainly(ACCEPTED)


def test_dump_that_was_cut_is_never_certain() -> None:
    read = host(table("fw", {"in": chain([jump("missing")], hook="input")}))
    found = walk(read, Route.IN, Situation.NEW, PacketSpace.all())
    assert found.possibly(LOST) == found.possibly(ACCEPTED) == Route.IN.packets


def test_chains_that_lead_to_each_other_end() -> None:
    read = host(table("fw", {"in": chain([jump("a")], hook="input"), "a": chain([jump("b")]), "b": chain([jump("a")])}))
    found = walk(read, Route.IN, Situation.NEW, PacketSpace.all())
    assert not found.certainly(ACCEPTED)


def services(count: int) -> HostRules:
    """A chain for each of many services, as kube-proxy keeps them."""
    chains: dict[str, Expression] = {}
    dispatch = []
    for number in range(count):
        address = f"10.96.{number // 250}.{number % 250 + 1}"
        chains[f"service_{number}"] = chain([{"dnat": {"addr": address, "family": "ip", "port": 8080}}])
        asked = [match(payload("ip daddr"), address), match(payload("tcp dport"), 80)]
        dispatch.append([*asked, jump(f"service_{number}")])
    chains["services"] = chain(*dispatch)
    chains["prerouting"] = chain([jump("services")], hook="prerouting", priority=-100, kind="nat")
    return host(table("kube", chains, "ip"))


def test_thousands_of_services_are_walked_in_seconds() -> None:
    read = services(2_000)
    began = perf_counter()
    found = walk(read, Route.FORWARD, Situation.NEW, PacketSpace.all())
    assert sum(fate.outcome is Outcome.TRANSLATED for fate in found.fates) == 2_000
    assert perf_counter() - began < 30  # 2 s on a quiet machine
