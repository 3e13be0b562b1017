"""Entries commute: the order in which a policy names them, or the values of a list, means nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.load import load_text
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.testing.strategies import dump, policy_documents


@given(policy_documents(), st.randoms(use_true_random=False))
def test_entries_commute(document: dict[str, Any], random: Any) -> None:
    shuffled = dict(document)
    for part in ("bypass", "track"):
        if part in document:
            shuffled[part] = random.sample(document[part], len(document[part]))
    if "groups" in document:
        names = random.sample(sorted(document["groups"]), len(document["groups"]))
        shuffled["groups"] = {
            name: random.sample(document["groups"][name], len(document["groups"][name])) for name in names
        }
    one, other = load_text(dump(document)), load_text(dump(shuffled))
    assert one == other
    assert compile_policy(one) == compile_policy(other)
