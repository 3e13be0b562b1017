"""Law: with the compiled policy loaded, the kernel does to packets what invariants that hold say of them, and to the
counterexample of one that is broken just what it says must not be."""

from __future__ import annotations

from collections import Counter
from datetime import date
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.language.rules import AlwaysBypass, Invariant, Invariants, NeverBypass, OnlyBypassWithin, Rule
from ctpolicy.meaning_space import entries_space
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.packetspace.packet import Packet
from ctpolicy.review.invariants import check_invariants
from ctpolicy.review.review import Result
from ctpolicy.testing.strategies import boundary_packets, dump, policy_documents

pytestmark = pytest.mark.kernel

TODAY = date(2026, 11, 23)
POLICIES = 12
PACKETS = 150


def rules_about(owned: Policy, policy: Policy) -> tuple[Rule, ...]:
    """Rules that mostly break, about what another policy bypasses, and rules that hold, about what this one does."""
    return (
        NeverBypass(owned.bypass),
        AlwaysBypass(owned.bypass),
        OnlyBypassWithin(owned.bypass),
        NeverBypass(policy.track),
        OnlyBypassWithin(policy.bypass),
    )


def expected(rule: Rule, packets: list[Packet]) -> list[tuple[Packet, bool]]:
    """What a rule that holds says of packets: which of them are untracked, as far as it says so."""
    assert isinstance(rule, NeverBypass | AlwaysBypass | OnlyBypassWithin)
    space = entries_space(rule.packets)
    if isinstance(rule, OnlyBypassWithin):
        return [(packet, False) for packet in packets if packet not in space]
    return [(packet, isinstance(rule, AlwaysBypass)) for packet in packets if packet in space]


def test_the_kernel_does_what_invariants_say(oracle: Oracle) -> None:
    asked: Counter[tuple[str, Result]] = Counter()

    @settings(max_examples=POLICIES)
    @given(policy_documents(), policy_documents(), st.integers(0, 2**32 - 1))
    def law(document: dict[str, object], other: dict[str, object], seed: int) -> None:
        policy, owned = load_text(dump(document)), load_text(dump(other))
        near = [boundary_packets(one, Random(seed), PACKETS, can_be_sent) for one in (policy, owned)]
        rules = {str(number): rule for number, rule in enumerate(rules_about(owned, policy))}
        invariants = Invariants("x", tuple(Invariant(name, rule) for name, rule in rules.items()))
        questions: list[tuple[Packet, bool]] = []
        for check in check_invariants(policy, invariants, TODAY):
            rule = rules[check.name]
            found = expected(rule, [packet for several in near for packet in several])
            if check.result is Result.BROKEN:
                shown = [remark.witness for remark in check.remarks if remark.witness and can_be_sent(remark.witness)]
                found = [(packet, not isinstance(rule, AlwaysBypass)) for packet in shown]
            asked[type(rule).__name__, check.result] += len(found)
            questions += found
        oracle.load(text(compile_policy(policy)))
        answers = oracle.untracked([packet for packet, _ in questions])
        wrong = [str(packet) for (packet, wanted), said in zip(questions, answers, strict=True) if said is not wanted]
        assert not wrong, (wrong[:5], dump(document), dump(other))

    law()
    print(dict(asked))
    for rule in (NeverBypass, AlwaysBypass, OnlyBypassWithin):
        assert asked[rule.__name__, Result.BROKEN] > 0
    assert asked["NeverBypass", Result.HELD] > 0
    assert asked["OnlyBypassWithin", Result.HELD] > 0
