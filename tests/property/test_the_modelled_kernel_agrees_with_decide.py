"""What `explain` says of a table is what the policy means: the model of nftables agrees with `decide`."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import Meaning
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.evaluate import trace
from ctpolicy.testing.strategies import boundary_packets, policies


@given(policies(), st.integers(0, 2**32 - 1))
def test_the_modelled_kernel_agrees_with_decide(policy: Policy, seed: int) -> None:
    meaning, table = Meaning.of(policy), compile_policy(policy)
    for packet in boundary_packets(policy, Random(seed), 50):
        assert trace(table, packet).untracked == meaning.decide(packet).untracked
