"""What docs/testing.md and the README show of tests works, and names all that there is."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path
from typing import Final, get_type_hints

import pytest

import ctpolicy.testing
from ctpolicy.testing import pytest_plugin
from ctpolicy.testing.constraints import Constraints
from loaded_first import LOADED

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "testing.md").read_text()
README: Final = (ROOT / "README.md").read_text()
LISTING: Final = '{"nftables": [{"table": {"family": "inet", "name": "filter", "handle": 1}}]}'


assert LOADED, "before pytester runs"


def python_blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def first_column(heading: str) -> set[str]:
    """The names in the first column of the table whose first heading this is."""
    rows = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)", row.split("|")[1])}


def test_tests_that_are_shown_pass(pytester: pytest.Pytester) -> None:
    shutil.copy(ROOT / "examples" / "review" / "policy.yaml", pytester.path)
    *tests, _host = python_blocks(PAGE)
    shown = [*tests, *python_blocks(README)]
    for number, block in enumerate(shown):
        (pytester.path / f"test_shown_{number}.py").write_text(block)
    told = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider", "--ctpolicy=policy.yaml")
    told.assert_outcomes(passed=3)
    assert len(shown) == 3


def test_host_that_is_shown_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "examples" / "review" / "policy.yaml", tmp_path)
    (tmp_path / "worker.json").write_text(LISTING)
    monkeypatch.chdir(tmp_path)
    block = python_blocks(PAGE)[-1]
    assert "host.untracked(" in block
    exec(compile(ast.parse(block), "docs/testing.md", "exec"), {})
    assert "table inet filter {\n" in capsys.readouterr().out


def test_every_argument_of_packets_has_its_row() -> None:
    assert first_column("argument") == set(Constraints.__annotations__) == set(get_type_hints(Constraints))


def test_every_strategy_has_its_row() -> None:
    others = {"FakeHost", "FakeLibnftables", "Killed", "ways_to_fail", "boundary_packets", "dump", "policy_documents"}
    strategies = set(ctpolicy.testing.__all__) - others - {"packets", "reverse_of", "entry_named"}
    assert first_column("strategy") == strategies


def test_every_fixture_has_its_row() -> None:
    fixtures = {name for name in vars(pytest_plugin) if name.startswith("ctpolicy_")}
    assert first_column("fixture") == fixtures


def test_hooks_are_shown_as_in_the_example() -> None:
    shown = (ROOT / "docs" / "reviewing.md").read_text()
    for hook in ("ctpolicy-validate", "ctpolicy-review"):
        assert f"- id: {hook}" in shown
        assert f"- id: {hook}" in README
        assert f"- id: {hook}" in (ROOT / ".pre-commit-hooks.yaml").read_text()
