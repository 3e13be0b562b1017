"""Law: the space of a compiled table, sent or read back, is the policy's: the same packets, every one."""

from __future__ import annotations

import json

from hypothesis import given

from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import add_table
from ctpolicy.nftables.space import ruleset_space, table_space
from ctpolicy.testing.strategies import policies


@given(policies())
def test_the_compiled_table_means_the_policy(policy: Policy) -> None:
    space = bypass_space(policy)
    assert table_space(compile_policy(policy)) == Untracked(space, space)


@given(policies())
def test_the_table_that_is_read_back_means_the_policy(policy: Policy) -> None:
    space = bypass_space(policy)
    listing = {"nftables": [command["add"] for command in add_table(compile_policy(policy))]}
    assert ruleset_space(read_text(json.dumps(listing))) == Untracked(space, space)


@given(policies(), policies())
def test_tables_of_different_policies_differ_where_the_policies_do(one: Policy, other: Policy) -> None:
    spaces = [table_space(compile_policy(policy)).certainly for policy in (one, other)]
    assert spaces[0] - spaces[1] == bypass_space(one) - bypass_space(other)
