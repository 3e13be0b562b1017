"""The law that everything rests on, for iptables: legacy and nft, with ipsets and without.

Each policy comes in the place of the one before it, as a host changes; so a change that leaves anything behind is seen
as well, in what is read back or in what the kernel then does.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.oracle.sendable import can_be_sent
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.testing.strategies import boundary_packets, dump, policy_documents
from kernel.raw_oracle import WAYS, RawOracle, Way, raw_oracle
from kernel.test_kernel_agrees_with_decide import Tally, differences

pytestmark = pytest.mark.kernel

POLICIES = 15
PACKETS = 600
"""About each policy."""


def ask(oracle: RawOracle, way: Way, document: dict[str, object], seed: int, packets: int, tally: Tally) -> None:
    policy = load_text(dump(document))
    oracle.load(way.compile(policy))
    found = differences(oracle.asked, policy, boundary_packets(policy, Random(seed), packets, can_be_sent), tally)
    assert not found, "\n".join([f"{len(found)} differences", *found[:10], dump(document)])


def hold(way: Way, policies: int, packets: int = PACKETS) -> Tally:
    """Try so many policies."""
    tally = Tally()
    with raw_oracle(way.variant) as oracle:

        @settings(max_examples=policies)
        @given(policy_documents(), st.integers(0, 2**32 - 1))
        def law(document: dict[str, object], seed: int) -> None:
            ask(oracle, way, document, seed, packets, tally)

        law()
        oracle.load(None)
    print(tally)
    assert all(tally.answers[path, family, answer] for path in Path for family in Family for answer in (False, True))
    assert tally.share(True) > 0.2
    assert tally.share(False) > 0.2
    return tally


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_iptables_leaves_untracked_exactly_what_the_policy_means(way: Way) -> None:
    tally = hold(way, POLICIES)
    assert tally.policies >= POLICIES
    assert tally.packets >= POLICIES * PACKETS


@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_iptables_leaves_untracked_exactly_what_the_policy_means_a_hundred_thousand_times(way: Way) -> None:
    tally = hold(way, 110, 1000)
    assert tally.policies >= 100
    assert tally.packets >= 100_000
