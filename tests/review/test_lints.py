"""Each lint: a policy that has it, with a witness that shows it, and one that has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctpolicy.cli.main import run
from ctpolicy.meaning import decide
from ctpolicy.review.finding import Finding, Severity
from ctpolicy.review.lints import lints
from policies import policy


def of(code: str, entries: str) -> list[Finding]:
    return [finding for finding in lints(policy(entries)) if finding.code == code]


COVERED = "bypass:\n  - {name: all, host-service: tcp/80-90}\n  - {name: web, host-service: tcp/80}\n"
NOTHING = "bypass:\n  - {name: web, host-service: tcp/80}\ntrack:\n  - {name: t, ports: tcp/1-100}\n"
HALF = "bypass:\n  - {name: half, match: {paths: [in], destination-ports: udp/53}}\n"
BROAD = "bypass:\n  - {name: broad, match: {protocol: udp, both-ways: true}}\n"
PROTECTED = "bypass:\n  - {name: ssh, host-service: tcp/22, acknowledge: it is tested}\n"
FORWARD = "bypass:\n  - {name: busy, ports: udp/53, interfaces: [eth0]}\n"

WITHOUT = {
    "CT001": "bypass:\n  - {name: all, host-service: tcp/81-90}\n  - {name: web, host-service: tcp/80}\n",
    "CT002": "bypass:\n  - {name: web, host-service: tcp/80-101}\ntrack:\n  - {name: t, ports: tcp/1-100}\n",
    "CT003": "bypass:\n  - {name: half, match: {paths: [in], destination-ports: udp/53, both-ways: true}}\n",
    "CT004": "bypass:\n  - {name: broad, match: {protocol: udp, both-ways: true, source: 10.0.0.0/8}}\n",
    "CT005": "bypass:\n  - {name: web, host-service: tcp/23}\n",
    "CT006": "bypass:\n  - {name: busy, ports: udp/53, interfaces: [eth0], paths: [in, out]}\n",
}


@pytest.mark.parametrize(
    ("code", "entries", "name"),
    [
        ("CT001", COVERED, "web"),
        ("CT002", NOTHING, "web"),
        ("CT003", HALF, "half"),
        ("CT004", BROAD, "broad"),
        ("CT005", PROTECTED, "ssh"),
        ("CT006", FORWARD, "busy"),
    ],
)
def test_a_policy_that_has_it_is_told_with_a_witness(code: str, entries: str, name: str) -> None:
    (finding,) = of(code, entries)
    assert finding.about == name
    assert finding.witness is not None
    stays_tracked = code in {"CT002", "CT003", "CT006"}
    assert decide(policy(entries), finding.witness).untracked is not stays_tracked


@pytest.mark.parametrize(("code", "entries"), WITHOUT.items())
def test_a_policy_that_has_it_not_is_not_told(code: str, entries: str) -> None:
    assert of(code, entries) == []


def test_of_two_that_are_the_same_one_is_told() -> None:
    twins = "bypass:\n  - {name: one, host-service: tcp/80}\n  - {name: two, host-service: tcp/80}\n"
    assert [finding.about for finding in of("CT001", twins)] == ["two"]


def test_halves_in_two_entries_are_whole() -> None:
    other = "  - {name: other, match: {paths: [out], source-ports: udp/53}}\n"
    lo = "  - {name: lo, match: {paths: [out], destination-ports: udp/53, interfaces: [lo]}}\n"
    assert of("CT003", HALF + other + lo) == []


def test_what_is_acknowledged_is_information() -> None:
    assert of("CT005", PROTECTED)[0].severity is Severity.INFORMATION


@pytest.mark.parametrize(("entries", "status"), [(HALF, 8), (WITHOUT["CT001"], 0), (PROTECTED, 0)])
def test_status_of_lint(entries: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"apiVersion: ctpolicy/v1\nname: tested\n{entries}")
    assert run(["lint", str(path)]) == status
    told = capsys.readouterr().out
    assert run(["validate", str(path)]) == 0
    assert capsys.readouterr().err == told
