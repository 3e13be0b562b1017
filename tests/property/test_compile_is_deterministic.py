"""Compiling is deterministic: the same policy gives the same bytes, in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from ctpolicy.language.load import load_text
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text
from ctpolicy.testing.strategies import dump, policy_documents

_PROGRAM = """
import json, sys
from ctpolicy.language.load import load_text
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text
for document in json.load(sys.stdin):
    table = compile_policy(load_text(document))
    print(text(table), json.dumps(load_document(table)))
"""


def compiled_elsewhere(documents: list[str], hash_seed: str) -> str:
    """What another process makes of these policies, with its own order of sets."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """A hundred policies."""
    found: list[str] = []

    @settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(policy_documents())
    def collect(document: dict[str, Any]) -> None:
        found.append(dump(document))

    collect()
    return found


def test_compile_is_deterministic_across_processes(documents: list[str]) -> None:
    first, *others = (compiled_elsewhere(documents, seed) for seed in ("0", "1", "2", "3"))
    assert first.count("table inet ctpolicy {") == len(documents)
    assert all(other == first for other in others)


@given(policy_documents())
def test_compile_is_deterministic(document: dict[str, Any]) -> None:
    one, other = (compile_policy(load_text(dump(document))) for _ in range(2))
    assert text(one) == text(other)
    assert json.dumps(load_document(one)) == json.dumps(load_document(other))
