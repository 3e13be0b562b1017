"""Law: what is imported from a compiled policy means that policy, through its YAML text, and is the same each time."""

from __future__ import annotations

from hypothesis import given, settings

from ctpolicy.importing.space_to_policy import import_untracked
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.space import table_space
from ctpolicy.testing.strategies import policies


@settings(max_examples=15)
@given(policies())
def test_import_means_what_was_read(policy: Policy) -> None:
    imported = import_untracked(table_space(compile_policy(policy)), "imported")
    assert bypass_space(load_text(imported.text)) == bypass_space(policy)
    assert imported.is_complete


@settings(max_examples=6)  # a second each, for policies of many tracks
@given(policies())
def test_import_is_deterministic(policy: Policy) -> None:
    space = table_space(compile_policy(policy))
    assert import_untracked(space, "imported").text == import_untracked(space, "imported").text
