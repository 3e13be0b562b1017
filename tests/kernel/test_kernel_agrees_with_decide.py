"""The law that everything rests on: the kernel leaves untracked exactly what the policy means."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_text import text
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.oracle.worlds import Oracle
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.packet import Packet
from ctpolicy.testing.strategies import boundary_packets, dump, policy_documents

pytestmark = pytest.mark.kernel

POLICIES = 100
PACKETS = 1000
"""About each policy."""


@dataclass(slots=True)
class Tally:
    """How much was asked, and how it was answered."""

    policies: int = 0
    answers: Counter[tuple[Path, Family, bool]] = field(default_factory=Counter)

    @property
    def packets(self) -> int:
        return self.answers.total()

    def share(self, untracked: bool) -> float:
        return sum(count for (_, _, answer), count in self.answers.items() if answer is untracked) / self.packets

    def __str__(self) -> str:
        counts = ", ".join(
            f"{path.value} {family.value} {'untracked' if answer else 'tracked'} {count}"
            for (path, family, answer), count in sorted(self.answers.items(), key=str)
        )
        return f"{self.policies} policies, {self.packets} packets: {counts}"


def differences(oracle: Oracle, policy: Policy, packets: list[Packet], tally: Tally) -> list[str]:
    """The packets about which the kernel and the policy's meaning are of two minds, as lines to read."""
    meaning = Meaning.of(policy)
    found = []
    for packet, in_kernel in zip(packets, oracle.untracked(packets), strict=True):
        decision = meaning.decide(packet)
        tally.answers[packet.path, packet.family, in_kernel] += 1
        if decision.untracked is not in_kernel:
            said = "untracked" if in_kernel else "tracked"
            found.append(f"{packet}: the kernel says {said}, the policy {decision}")
    tally.policies += 1
    return found


def ask(oracle: Oracle, document: dict[str, object], seed: int, tally: Tally) -> None:
    policy = load_text(dump(document))
    packets = boundary_packets(policy, Random(seed), PACKETS, can_be_sent)
    ruleset = text(compile_policy(policy))
    oracle.load(ruleset)
    found = differences(oracle, policy, packets, tally)
    assert not found, "\n".join([f"{len(found)} differences", *found[:10], dump(document), ruleset])


def hold(oracle: Oracle, policies: int) -> Tally:
    """Try so many policies."""
    tally = Tally()

    @settings(max_examples=policies)
    @given(policy_documents(), st.integers(0, 2**32 - 1))
    def law(document: dict[str, object], seed: int) -> None:
        ask(oracle, document, seed, tally)

    law()
    print(tally)
    assert all(tally.answers[path, family, answer] for path in Path for family in Family for answer in (False, True))
    assert tally.share(True) > 0.2
    assert tally.share(False) > 0.2
    return tally


def test_the_kernel_leaves_untracked_exactly_what_the_policy_means(oracle: Oracle) -> None:
    tally = hold(oracle, POLICIES)
    assert tally.policies >= 100
    assert tally.packets >= 100_000


@pytest.mark.soak
def test_the_kernel_leaves_untracked_exactly_what_the_policy_means_a_million_times(oracle: Oracle) -> None:
    assert hold(oracle, 1100).packets >= 1_000_000
