"""The way of one packet, as people read it and as programs do."""

from __future__ import annotations

from textwrap import dedent

from hypothesis import given

from ctpolicy.hazards.interpreter import interpret
from ctpolicy.hazards.rules import HostRules
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.trace import trace, traced_way
from ctpolicy.hazards.trace_report import trace_json, trace_lines
from ctpolicy.language.schema import misfit
from ctpolicy.packetspace.packet import Packet, parse_packet
from hazards.listings import ACCEPT, DROP, chain, host, jump, match, meta, payload, state, table
from host_rules import hosts, packets

DNAT = {"dnat": {"family": "ip", "addr": "10.0.0.1", "port": 80}}
HOST = host(
    table(
        "firewall",
        {
            "input": chain(
                [state("established", "related"), ACCEPT],
                [match(payload("tcp dport"), 22), ACCEPT],
                [match(meta("mark"), 7), ACCEPT],
                [jump("refuse")],
                hook="input",
                policy="drop",
            ),
            "refuse": chain([{"limit": {"rate": 5, "per": "second"}}, DROP], [match(meta("l4proto"), "udp"), DROP]),
        },
    ),
    table("nat", {"pre": chain([match(payload("tcp dport"), 80), DNAT], hook="prerouting", priority=-100, kind="nat")}),
)


def lines(text: str, *, before: bool = False) -> str:
    found = trace(HOST, parse_packet(text), untracked_before=before, untracked_after=True)
    assert misfit(trace_json(found), "trace") is None
    return "\n".join(trace_lines(found)) + "\n"


def test_way_of_an_answer_before_and_after() -> None:
    assert lines("in udp 192.0.2.53:53 -> 192.0.2.1:40000") == dedent("""\
        in udp 192.0.2.53:53 -> 192.0.2.1:40000

        before the plan, as the first packet of a flow (new): accepted or dropped
          prerouting -100, table inet nat, chain pre
            policy accept
          input +0, table inet firewall, chain input
            perhaps 3. meta mark 7 accept (not modelled: meta mark 7)
            perhaps 4. jump refuse
              perhaps 1. limit rate 5/second drop (not modelled: limit rate 5/second)
              perhaps 2. meta l4proto 17 drop

        before the plan, as an answer (established): accepted
          input +0, table inet firewall, chain input
            1. ct state established,related accept

        after the plan, untracked: accepted or dropped
          input +0, table inet firewall, chain input
            perhaps 3. meta mark 7 accept (not modelled: meta mark 7)
            perhaps 4. jump refuse
              perhaps 1. limit rate 5/second drop (not modelled: limit rate 5/second)
              perhaps 2. meta l4proto 17 drop
        """)


def test_way_that_a_plan_does_not_change_is_told_once() -> None:
    assert lines("in tcp 192.0.2.53:5000 -> 192.0.2.1:22", before=True) == dedent("""\
        in tcp 192.0.2.53:5000 -> 192.0.2.1:22

        before and after the plan, untracked: accepted
          input +0, table inet firewall, chain input
            2. tcp dport 22 accept
        """)


def test_translation_ends_the_way() -> None:
    (way, *_) = trace(
        HOST, parse_packet("in tcp 192.0.2.53:5000 -> 192.0.2.1:80"), untracked_before=False, untracked_after=True
    ).before
    assert [one.value for one in way.outcomes] == ["translated"]
    assert [met.says for passage in way.passages for met in passage.met] == ["translates destinations to 10.0.0.1:80"]


def test_an_icmp_error_is_traced_as_what_it_was_and_is() -> None:
    found = trace(HOST, parse_packet("in icmp 192.0.2.53 -> 192.0.2.1"), untracked_before=False, untracked_after=False)
    assert [way.situation for way in found.before] == [Situation.NEW, Situation.REPLY, Situation.RELATED]
    assert [way.situation for way in found.after] == [*(way.situation for way in found.before), Situation.INVALID]


def test_names_of_others_do_nothing_to_a_terminal() -> None:
    read = host(table("a\x1b[2J\n", {"input\x07": chain(hook="input")}))
    found = trace(read, parse_packet("in icmp 192.0.2.53 -> 192.0.2.1"), untracked_before=True, untracked_after=True)
    assert all(line.isprintable() for line in trace_lines(found))


@given(hosts(), packets())
def test_a_trace_tells_all_that_may_become_of_a_packet(read: HostRules, packet: Packet) -> None:
    """Law: what the interpreter finds on some way is told; what a trace is sure of is all that it finds."""
    for situation in Situation:
        found = {way.outcome for way in interpret(read, packet, situation)}
        told = set(traced_way(read, packet, situation).outcomes)
        assert found <= told
        if len(told) == 1:
            assert found == told
