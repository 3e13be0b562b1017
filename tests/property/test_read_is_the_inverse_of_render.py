"""Reading is the inverse of rendering: `read(render(table)) == table`."""

from __future__ import annotations

import json

from hypothesis import given

from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import add_table
from ctpolicy.testing.strategies import policies


@given(policies())
def test_read_is_the_inverse_of_render(policy: Policy) -> None:
    table = compile_policy(policy)
    listing = {"nftables": [command["add"] for command in add_table(table)]}
    assert read_text(json.dumps(listing)) == (table,)
