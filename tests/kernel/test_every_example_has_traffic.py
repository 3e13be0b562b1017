"""Every example policy is applied, and its own traffic sent, by a file of tests that is named after it."""

from __future__ import annotations

from pathlib import Path

from kernel.command_line import EXAMPLES


def test_every_example_has_traffic() -> None:
    examples = {example.stem for example in EXAMPLES.glob("*.yaml")}
    exercised = {
        test.stem.removeprefix("test_traffic_").replace("_", "-")
        for test in Path(__file__).parent.glob("test_traffic_*")
    }
    assert examples
    assert examples == exercised
