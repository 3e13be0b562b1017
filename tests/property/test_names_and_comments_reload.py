"""Names and comments always reload as text: what `nft list ruleset` prints, the next boot's `nft -f` takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.read import read_text
from ctpolicy.nftables.render_json import load_document
from ctpolicy.testing.strategies import policies
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

ONE_NAMESPACE_FOR_ALL = [HealthCheck.function_scoped_fixture]


@settings(suppress_health_check=ONE_NAMESPACE_FOR_ALL)
@given(policy=policies())
def test_names_and_comments_reload(namespace: Namespace, other_namespace: Namespace, policy: Policy) -> None:
    table = compile_policy(policy)
    namespace.run("nft", "-j", "-f", "-", stdin=json.dumps(load_document(table)))
    saved = namespace.ruleset()
    other_namespace.load("flush ruleset\n" + saved)
    assert other_namespace.ruleset() == saved
    assert read_text(other_namespace.run("nft", "-j", "list", "ruleset").stdout) == (table,)
