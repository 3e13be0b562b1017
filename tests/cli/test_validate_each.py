"""`ctpolicy validate --each`: several policies, none of which knows of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctpolicy.cli.main import run

EXAMPLES = sorted(map(str, (Path(__file__).parents[2] / "examples").glob("*.yaml")))
POLICY = "apiVersion: ctpolicy/v1\nname: {name}\nbypass:\n  - {{name: dns, host-client: {service}}}\n"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two files that name an entry alike: as one policy, that is a mistake."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.yaml").write_text(POLICY.format(name=name, service="udp/53"))
    return ["a.yaml", "b.yaml"]


def test_each_is_a_policy_of_its_own(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", *two]) == 2
    assert "there are two entries `dns`" in capsys.readouterr().err
    assert run(["validate", "--each", *two]) == 0
    assert capsys.readouterr().out == (
        "a.yaml: a: valid (1 bypass, 0 track, 0 expectations hold)\n"
        "b.yaml: b: valid (1 bypass, 0 track, 0 expectations hold)\n"
    )


def test_examples_are_valid_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--each", *EXAMPLES]) == 0
    assert capsys.readouterr().out.count(": valid (") == len(EXAMPLES) > 1


def test_mistakes_of_one_hide_nothing_of_the_others(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("c", "d"):
        Path(f"{name}.yaml").write_text(POLICY.format(name=name, service="udp/99999"))
    assert run(["validate", "--each", "c.yaml", *two, "d.yaml"]) == 2
    told = capsys.readouterr()
    assert told.out.count(": valid (") == 2
    assert "c.yaml:4:34: port 99999 is above 65535" in told.err
    assert "d.yaml:4:34: port 99999 is above 65535" in told.err


def test_mistakes_of_all_are_among_the_json(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name in two:
        Path(name).write_text(POLICY.format(name="x", service="udp/99999"))
    assert run(["validate", "--each", "--json", *two]) == 2
    document = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in document["diagnostics"]] == two
    assert document["findings"] is None


def test_findings_are_told_with_their_file(two: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    half = "apiVersion: ctpolicy/v1\nname: half\nbypass:\n  - {name: half, match: {protocol: udp, source-ports: 53}}\n"
    Path("b.yaml").write_text(half)
    assert run(["validate", "--each", *two]) == 0
    assert capsys.readouterr().err.startswith("b.yaml: ")
    assert run(["validate", "--each", "--json", *two]) == 0
    assert {one["entry"] for one in json.loads(capsys.readouterr().out)["findings"]} == {"half"}
