"""`ctpolicy lint`: policies, saved listings and hosts; what is printed, for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.cli.main import run
from ctpolicy.language.schema import SCHEMAS, shipped_schema
from kernel.namespace import Namespace

ROOT = Path(__file__).parents[2]
HALF = "bypass:\n  - {name: half, match: {paths: [in], destination-ports: udp/53}}\n"
CLEAN = "bypass:\n  - {name: vxlan, overlay: vxlan}\n"


def _ctpolicy(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)


def _policy(directory: Path, entries: str) -> Path:
    path = directory / "policy.yaml"
    path.write_text(f"apiVersion: ctpolicy/v1\nname: tested\n{entries}")
    return path


def _listing(hook: str, comment: str = "cali:x") -> str:
    chain = {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": hook, "prio": -300}
    rule = {"family": "ip", "table": "t", "chain": "c", "expr": [{"notrack": None}], "comment": comment}
    return json.dumps({"nftables": [{"table": {"family": "ip", "name": "t"}}, {"chain": chain}, {"rule": rule}]})


def _valid(name: str, value: Any) -> None:
    Draft202012Validator.check_schema(shipped_schema(name))
    Draft202012Validator(shipped_schema(name)).validate(value)


def test_a_saved_listing_is_linted_without_a_policy() -> None:
    done = _ctpolicy("lint", "--live", "-", stdin=_listing("input"))
    assert done.returncode == 8, done
    assert done.stdout.startswith("warning: CT101 table ip t, chain c, rule 1 (Calico): does nothing in input")


def test_a_listing_without_faults_is_status_0() -> None:
    assert _ctpolicy("lint", "--live", "-", stdin='{"nftables": []}').returncode == 0


def test_policies_and_a_listing_are_linted_together(tmp_path: Path) -> None:
    done = _ctpolicy("lint", _policy(tmp_path, HALF), "--live", "-", "--json", stdin=_listing("input"))
    found = json.loads(done.stdout)
    _valid("lint", found)
    assert [finding["code"] for finding in found["findings"]] == ["CT003", "CT101"]
    assert found["findings"][0]["rules"] is None
    assert found["findings"][1]["rules"] == {"family": "ip", "table": "t", "chain": "c", "number": 1, "owner": "Calico"}


def test_a_half_flow_as_json_has_a_witness_and_no_rule() -> None:
    done = _ctpolicy("lint", "--live", "-", "--json", stdin=_listing("prerouting"))
    found = json.loads(done.stdout)
    _valid("lint", found)
    (finding,) = found["findings"]
    assert (finding["code"], finding["entry"], finding["rules"]["chain"]) == ("CT105", None, None)
    assert finding["witness"].startswith("in udp ")


@pytest.mark.parametrize(
    "arguments",
    [[], ["live", "--live", "x"], ["--netns", "/proc/self/ns/net", "--live", "x"], ["--live", "nowhere"], ["nowhere"]],
)
def test_what_cannot_be_linted_is_status_2(arguments: list[str]) -> None:
    done = _ctpolicy("lint", *arguments)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr


def test_text_from_a_listing_cannot_move_the_cursor() -> None:
    listing = json.loads(_listing("input"))
    for listed in listing["nftables"][1:]:
        (body,) = listed.values()
        body["chain" if "expr" in body else "name"] = "\x1b[2J"
    done = _ctpolicy("lint", "--live", "-", stdin=json.dumps(listing))
    assert done.returncode == 8
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("live", [False, True])
def test_too_many_packets_are_told_and_not_passed_over(
    live: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ctpolicy.cli.lint.MOST_WORK", 3)
    listing = tmp_path / "listing.json"
    listing.write_text(_listing("prerouting").replace('"notrack"', '"counter": null}, {"notrack"'))
    arguments = ["--live", str(listing)] if live else [str(_policy(tmp_path, HALF))]
    assert run(["lint", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "too many different packets to lint exactly" in shown.err


def test_validate_tells_findings_among_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--json", str(_policy(tmp_path, HALF))]) == 0
    found = json.loads(capsys.readouterr().out)
    _valid("diagnostics", found)
    assert [finding["code"] for finding in found["findings"]] == ["CT003"]
    assert found["diagnostics"] == []


def test_validate_says_that_it_has_not_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ctpolicy.cli.validate.MOST_WORK", 3)
    for entries, status in ((HALF, 0), ("bypass: [{name: v, overlay: vxlen}]\n", 2)):
        assert run(["validate", "--json", str(_policy(tmp_path, entries))]) == status
        found = json.loads(capsys.readouterr().out)
        _valid("diagnostics", found)
        assert found["findings"] is None


def test_what_validate_printed_before_findings_is_still_valid() -> None:
    _valid("diagnostics", {"apiVersion": "ctpolicy.diagnostics/v1", "diagnostics": []})


def test_a_finding_is_the_same_in_both_schemas() -> None:
    assert shipped_schema("lint")["$defs"] == shipped_schema("diagnostics")["$defs"]


def test_every_schema_that_is_shipped_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert {f"{name}-v1.schema.json" for name in SCHEMAS} == {path.name for path in (ROOT / "schemas").iterdir()}
    for name in SCHEMAS:
        assert run(["schema", name]) == 0
        assert json.loads(capsys.readouterr().out) == shipped_schema(name)


@pytest.mark.kernel
def test_this_host_is_asked_by_the_word_live_or_by_its_namespace(namespace: Namespace, tmp_path: Path) -> None:
    namespace.load("table ip t {\n chain c {\n type filter hook input priority 0;\n notrack\n }\n}\n")
    by_namespace = _ctpolicy("lint", "--netns", namespace.path)
    assert by_namespace.returncode == 8
    assert "CT101" in by_namespace.stdout
    assert _ctpolicy("lint", "live", "--netns", namespace.path).stdout == by_namespace.stdout
    words = "from ctpolicy.cli.main import main; main()"
    command = namespace.command(sys.executable, "-c", words, "lint", str(_policy(tmp_path, CLEAN)), "live")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (8, by_namespace.stdout)
