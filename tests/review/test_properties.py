"""Each property of a review can fail: something is broken on purpose, and a packet shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ctpolicy.language.load import load_files, merge
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Decision, decide
from ctpolicy.meaning_space import entries_space
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.packetspace.fields import Path as PacketPath
from ctpolicy.packetspace.packet import Packet
from ctpolicy.review import proofs
from ctpolicy.review.properties import Tried, check_properties, properties_of
from ctpolicy.review.review import Check, Level, Result
from policies import policy

POLICY = policy("""
bypass:
  - {name: vxlan, overlay: vxlan, peers: [192.168.7.0/24, "fd00:7::/64"]}
  - {name: metrics, host-service: tcp/9100-9110, interfaces: [eth0, "bond*"]}
  - {name: busy, ports: udp/20000-20999}
  - {name: busier, ports: udp/20500-21500}
track:
  - {name: ssh, host-service: udp/20600}
""")
ONE_ANSWER, FLOWS, MERGED, TRACK, REMOVED, COMPILED = range(6)


def quietly(_: str) -> None:
    """Nobody waits."""


def broken(tried: Tried) -> dict[int, Check]:
    """The checks that are broken, by their place."""
    checks = properties_of(tried, 300, quietly)
    return {at: check for at, check in enumerate(checks) if check.result is Result.BROKEN}


def witness(check: Check) -> Packet:
    (remark,) = check.remarks
    assert (remark.code, remark.level) == ("RV006", Level.ERROR)
    assert remark.witness is not None
    return remark.witness


def test_every_property_holds_and_says_how_often_it_was_tried() -> None:
    checks = check_properties(POLICY, 300, quietly)
    assert [check.result for check in checks] == [Result.HELD] * 6
    assert checks[ONE_ANSWER].told == "tried 300 times: nftables, iptables with ipset, iptables without ipset"


def test_a_large_policy_is_not_compiled_again_and_again_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "MOST_IN_IPTABLES", 10)
    ports = ", ".join(f"udp/{2000 + 2 * n}" for n in range(11))
    checks = check_properties(policy(f"bypass:\n  - {{name: many, ports: [{ports}]}}\n"), 20, quietly)
    assert [check.result for check in checks] == [Result.HELD] * 3 + [Result.NOT_ASKED] * 3
    assert checks[ONE_ANSWER].told.endswith(": nftables")
    assert checks[COMPILED].told == "for this the policy is compiled again and again, and it has 11 services"


def test_a_policy_of_nothing_has_properties_too() -> None:
    checks = check_properties(Policy("nothing"), 20, quietly)
    assert {check.result for check in checks} == {Result.HELD, Result.NOT_ASKED}


def test_a_decision_that_is_not_the_sets_is_found() -> None:
    def wrong(packet: Packet) -> Decision:
        decision = decide(POLICY, packet)
        return replace(decision, tracked_by=("ssh",)) if packet.destination_port == 20999 else decision

    found = broken(replace(Tried.of(POLICY), decide=wrong))
    assert witness(found[ONE_ANSWER]).destination_port == 20999


def test_a_set_that_misses_packets_is_found() -> None:
    lacking = entries_space(POLICY.bypass[:1])
    found = broken(replace(Tried.of(POLICY), contains=lambda packet: packet in lacking))
    assert list(found) == [ONE_ANSWER]
    assert decide(POLICY, witness(found[ONE_ANSWER])).untracked is not (witness(found[ONE_ANSWER]) in lacking)


@pytest.mark.parametrize("backend", ["nftables", "iptables with ipset", "iptables without ipset"])
def test_rules_that_say_otherwise_are_found(backend: str) -> None:
    tried = Tried.of(POLICY)
    names = tried.rules[backend]

    def wrong(packet: Packet) -> tuple[str, ...]:
        return () if packet.path is PacketPath.OUT else names(packet)

    found = broken(replace(tried, rules={**tried.rules, backend: wrong}))
    assert list(found) == [ONE_ANSWER]
    assert backend in found[ONE_ANSWER].remarks[0].message
    assert witness(found[ONE_ANSWER]).path is PacketPath.OUT


def test_packets_that_are_counted_for_another_entry_are_found() -> None:
    tried = Tried.of(POLICY)
    names = tried.rules["nftables"]

    def wrong(packet: Packet) -> tuple[str, ...]:
        return tuple("vxlan" if name == "metrics" else name for name in names(packet))

    found = broken(replace(tried, rules={"nftables": wrong}))
    assert found[ONE_ANSWER].remarks[0].entry == "vxlan"
    assert decide(POLICY, witness(found[ONE_ANSWER])).bypassed_by == ("metrics",)


def test_a_counterexample_is_simple() -> None:
    """What is found first has addresses and ports of all kinds; what is shown has hardly any."""
    lacking = entries_space(POLICY.bypass[:1])
    first = witness(broken(replace(Tried.of(POLICY), contains=lambda packet: packet in lacking))[ONE_ANSWER])
    assert (first.path, first.interface) == (PacketPath.IN, "")


def test_half_flows_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `match` one way is no whole flow; said to be one, it is a fault."""
    monkeypatch.setattr("ctpolicy.review.properties.is_whole", lambda _: True)
    half = policy("bypass:\n  - {name: half, match: {protocol: tcp, destination-ports: 80, source: 10.0.0.0/8}}\n")
    found = broken(Tried.of(half))
    assert list(found) == [FLOWS]
    one, other = witness(found[FLOWS]), witness(found[FLOWS]).reverse()
    assert decide(half, one).untracked is not decide(half, other).untracked


def compiling(change: Callable[[Policy], Policy]) -> Tried:
    """A compiler that forgets something."""

    def wrong(policy: Policy) -> Table:
        return NFTABLES.compile(change(policy))

    return replace(Tried.of(POLICY), compile=wrong)


def test_a_track_that_does_not_win_is_found() -> None:
    found = broken(compiling(lambda policy: replace(policy, track=POLICY.track)))
    assert list(found) == [TRACK]
    assert witness(found[TRACK])


def test_an_entry_that_takes_others_packets_with_it_is_found() -> None:
    def forgetful(policy: Policy) -> Policy:
        return policy if len(policy.bypass) == len(POLICY.bypass) else replace(policy, bypass=policy.bypass[:2])

    found = broken(compiling(forgetful))
    assert list(found) == [REMOVED]
    assert decide(POLICY, witness(found[REMOVED])).untracked


def test_a_union_that_loses_an_entry_is_found() -> None:
    def wrong(parts: list[Policy]) -> Policy:
        union = merge(parts)
        return replace(union, track=()) if len(parts) > 1 else union

    found = broken(replace(Tried.of(POLICY), merged=wrong))
    assert list(found) == [MERGED]
    assert found[MERGED].remarks[0].entry == "ssh"


def test_a_compiler_that_changes_its_mind_is_found() -> None:
    calls = iter(range(10**6))

    def moody(policy: Policy) -> Policy:
        return replace(policy, track=()) if next(calls) % 5 == 4 else policy

    assert COMPILED in broken(compiling(moody))


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis keeps what it learns of modules in a directory, there where it is run."""
    monkeypatch.chdir(tmp_path)
    lacking = entries_space(POLICY.bypass[:1])
    assert broken(replace(Tried.of(POLICY), contains=lambda packet: packet in lacking))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("example", ["kubernetes-node", "web-front-end"])
def test_the_properties_hold_of_examples(example: str) -> None:
    path = Path(__file__).parent.parent.parent / "examples" / f"{example}.yaml"
    assert all(check.result is not Result.BROKEN for check in check_properties(load_files([path]), 100, quietly))
