"""What others' rules bypass already, and whose rules these are, as a plan on such a host says it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from kernel.command_line import EXAMPLES, ctpolicy
from kernel.namespace import Namespace

pytestmark = pytest.mark.kernel

FILES: Final = sorted((Path(__file__).parent.parent / "scenarios" / "foreign").glob("*.nft"))
TITLE: Final = "  others' rules leave untracked, whatever the policy says"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_plan_says_what_foreign_rules_bypass_and_whose_they_are(
    namespace: Namespace, file: Path, request: pytest.FixtureRequest
) -> None:
    namespace.load(file.read_text())
    found = others(ctpolicy("plan", EXAMPLES / "ntp-server.yaml", "--netns", namespace.path))
    golden = file.with_suffix(".others.txt")
    if request.config.getoption("--regenerate"):
        golden.write_text(found)
    assert found == golden.read_text()


def others(plan: str) -> str:
    """The part of a plan that is about others' rules."""
    lines = plan.splitlines()
    assert TITLE in lines, plan
    told = lines[lines.index(TITLE) + 1 :]
    return "".join(f"{line[4:]}\n" for line in told[: told.index("")])


def test_applying_does_not_silence_it(namespace: Namespace) -> None:
    namespace.load(FILES[2].read_text())
    example = EXAMPLES / "ntp-server.yaml"
    before = others(ctpolicy("plan", example, "--netns", namespace.path))
    ctpolicy("apply", example, "--netns", namespace.path, "--yes")
    after = ctpolicy("plan", example, "--netns", namespace.path)
    assert "Nothing to do" in after
    assert others(after + "\n\n") == before


def test_traffic_that_is_bypassed_already_does_not_become_untracked(namespace: Namespace) -> None:
    namespace.load(
        "table inet theirs { chain prerouting { type filter hook prerouting priority -300; "
        "udp dport 123 notrack; udp sport 123 notrack; }; "
        "chain output { type filter hook output priority -300; udp dport 123 drop; udp sport 123 drop; }; }"
    )
    plan = ctpolicy("plan", EXAMPLES / "ntp-server.yaml", "--netns", namespace.path)
    changes = plan[: plan.index(TITLE)]
    assert "+ bypass ntp" in changes
    assert "no packet changes, only rules do" in changes, "they bypass what comes in, and drop what goes out"
