"""Every example, one after the other: a plan after its apply is empty, and a second apply writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctpolicy.iptables.kernel import IptablesTools
from ctpolicy.iptables.ruleset import Variant
from kernel.command_line import EXAMPLES, done, ran
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all calls that change something, as they are made."""
    made: list[str] = []
    for name in ("restore", "restore_sets"):
        real = getattr(IptablesTools, name)

        def spied(*arguments: Any, name: str = name, real: Any = real) -> None:
            made.append(name)
            real(*arguments)

        monkeypatch.setattr(IptablesTools, name, spied)
    return made


@pytest.mark.parametrize(
    "variant",
    [pytest.param(Variant.LEGACY, id="legacy", marks=pytest.mark.soak), pytest.param(Variant.NFT, id="nft")],
)
@pytest.mark.parametrize(
    "options", [(), pytest.param(("--no-ipset",), marks=pytest.mark.soak)], ids=["ipset", "no-ipset"]
)
def test_a_second_apply_of_any_example_writes_nothing(
    variant: Variant, options: tuple[str, ...], namespace: Namespace, written: list[str]
) -> None:
    for example in sorted(EXAMPLES.glob("*.yaml")):
        asked: tuple[str | Path, ...] = (
            example,
            "--backend",
            f"iptables-{variant.value}",
            "--netns",
            namespace.path,
            *options,
        )
        done("apply", *asked, "--yes")
        assert written
        written.clear()
        plan = ran("plan", *asked, "--json", "--detailed-exitcode")
        assert plan.status == 0, (example, plan)
        found = json.loads(plan.output)
        assert not found["pending"]
        assert found["objects"] == found["entries"] == found["transaction"]["steps"] == []
        done("apply", *asked, "--yes")
        assert not written, example
        assert ran("status", *asked, "--detailed-exitcode").status == 0
        assert ("create" in namespace.run("ipset", "save").stdout) <= (not options)
