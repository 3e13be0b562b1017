"""What is emitted, as JSON or text, the kernel lists back as it was: `read(kernel(render(table))) == table`."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import table_lines, text
from ctpolicy.testing.strategies import policies
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

ONE_NAMESPACE_FOR_ALL = [HealthCheck.function_scoped_fixture]
"""Each example replaces the whole table, so nothing is left over from the one before."""


def listed(namespace: Namespace) -> str:
    return namespace.run("nft", "-j", "list", "ruleset").stdout


@settings(suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(policy=policies())
def test_what_is_sent_as_json_is_what_is_listed(namespace: Namespace, policy: Policy) -> None:
    table = compile_policy(policy)
    namespace.run("nft", "-j", "-f", "-", stdin=json.dumps(load_document(table)))
    assert read_text(listed(namespace)) == (table,)


@settings(suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(policy=policies())
def test_what_is_sent_as_text_is_what_is_listed(namespace: Namespace, policy: Policy) -> None:
    table = compile_policy(policy)
    namespace.load(text(table))
    assert read_text(listed(namespace)) == (table,)


@settings(max_examples=30, suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(policy=policies())
def test_the_text_of_a_rule_is_how_nft_lists_it(namespace: Namespace, policy: Policy) -> None:
    """A person who compares the compiled text with the listing finds the same rules in it."""
    table = compile_policy(policy)
    namespace.load(text(table))
    shown = {line.strip().replace("priority raw", "priority -300") for line in namespace.ruleset().splitlines()}
    rules = [line.strip() for line in table_lines(table) if "counter" not in line and "elements" not in line]
    chains = rules[next((at for at, line in enumerate(rules) if line.startswith("chain ")), 0) :]
    assert [line for line in chains if line not in shown] == []
