"""`ctpolicy review` as people and their CI run it: what is printed, what is written, and the exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from jsonschema import Draft202012Validator

from ctpolicy.cli.main import run
from ctpolicy.language.schema import shipped_schema

REVIEW: Final = Path(__file__).parents[2] / "examples" / "review"
SMALL: Final = ("--no-kernel", "--examples", "5")
HEAD: Final = "apiVersion: ctpolicy/v1\nname: tested\n"


def policy(path: Path, entries: str) -> Path:
    path.write_text(HEAD + entries)
    return path


def git(directory: Path, *arguments: str) -> None:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the worked example in it."""
    directory = tmp_path / "repository"
    shutil.copytree(REVIEW, directory, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    git(directory, "init")
    git(directory, "add", ".")
    git(directory, "commit", "-m", "a policy")
    return directory


def test_the_worked_example_passes(capsys: pytest.CaptureFixture[str]) -> None:
    invariants = str(REVIEW / "invariants.yaml")
    assert run(["review", *SMALL, "--invariants", invariants, str(REVIEW / "policy.yaml")]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == "Passed."
    assert "invariants (" in told
    assert "proofs (3)" in told


def test_a_change_is_told_with_what_stands_against_it(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "policy.yaml"
    broken = "\nbypass:\n  - {name: jump-host, host-service: tcp/22, acknowledge: they said so}\n"
    path.write_text(path.read_text().replace("\nbypass:\n", broken).replace("ports: tcp/22\n", "ports: tcp/2222\n"))
    status = run(["review", *SMALL, "--base", "HEAD", "--invariants", str(repository / "invariants.yaml"), str(path)])
    told = capsys.readouterr().out
    assert status == 8, told
    assert "compared with revision " in told
    assert "Packets that change: protected traffic\n  newly untracked, bypass jump-host: the entry is new (" in told
    assert "    + in ipv6 tcp any:not 2222 -> any:22  (every ipv6 address, " in told
    assert "error RV003" in told
    assert "  + bypass jump-host" in told


def test_a_policy_that_is_not_in_the_base_is_new(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = policy(repository / "new.yaml", "bypass: [{name: vxlan, overlay: vxlan}]\n")
    assert run(["review", *SMALL, "--base", "HEAD", str(new)]) == 0
    told = capsys.readouterr().out
    assert f"which has no {new}" in told
    assert "    + in,out udp any -> any:4789  (" in told


def test_whoever_changes_invariants_is_seen_to(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    invariants = repository / "invariants.yaml"
    invariants.write_text(invariants.read_text() + "# a comment\n")
    run(["review", *SMALL, "--base", "HEAD", "--invariants", str(invariants), str(repository / "policy.yaml")])
    assert "the invariants are other ones than the base's: their owners are to agree" in capsys.readouterr().out


def test_a_base_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = policy(tmp_path / "old.yaml", "bypass: [{name: vxlan, overlay: vxlan, peers: 192.168.7.0/24}]\n")
    new = policy(tmp_path / "new.yaml", "bypass: [{name: vxlan, overlay: vxlan, peers: 192.168.6.0/23}]\n")
    assert run(["review", *SMALL, "--base", str(old), str(new)]) == 0
    told = capsys.readouterr().out
    assert f"compared with file {old}" in told
    assert "    + in udp 192.168.6.0/24 -> any:4789  (" in told


def test_a_base_that_cannot_be_read_is_told_and_keeps_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = policy(tmp_path / "old.yaml", "bypass: [{name: vxlan, overlay: vxlam}]\n")
    new = policy(tmp_path / "new.yaml", "bypass: [{name: vxlan, overlay: vxlan}]\n")
    assert run(["review", *SMALL, "--base", str(old), str(new)]) == 0
    assert "What changes cannot be told" in capsys.readouterr().out


def test_mistakes_are_what_a_review_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = policy(tmp_path / "policy.yaml", "bypass: [{name: vxlan, overlay: vxlam}]\n")
    assert run(["review", *SMALL, str(wrong)]) == 8
    told = capsys.readouterr().out
    assert "error RV001" in told
    assert "did you mean `vxlan`?" in told
    assert "Not asked: proofs, everything: the policy cannot be read" in told


def test_an_expectation_that_is_not_met_has_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = policy(tmp_path / "policy.yaml", "expect:\n  - untracked: in tcp 192.0.2.1:1024 -> 192.0.2.2:22\n")
    assert run(["review", *SMALL, str(wrong)]) == 8
    told = capsys.readouterr().out
    assert f"{wrong}:4:" in told
    assert "error RV002" in told


@pytest.mark.parametrize("ending", [".md", ".json", ".sarif", ".xml", ".html"])
def test_reports_are_written_by_their_endings(ending: str, tmp_path: Path) -> None:
    report = tmp_path / f"review{ending}"
    assert run(["review", *SMALL, "--output", str(report), str(REVIEW / "policy.yaml")]) == 0
    assert report.read_text().endswith("\n")
    if ending == ".json":
        Draft202012Validator(shipped_schema("review")).validate(json.loads(report.read_text()))


def test_an_ending_that_says_no_format_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", "--output", str(tmp_path / "review.pdf"), str(REVIEW / "policy.yaml")]) == 2
    assert "the ending says no format" in capsys.readouterr().err


def test_what_cannot_be_written_is_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = tmp_path / "nowhere" / "review.json"
    assert run(["review", *SMALL, "--output", str(nowhere), str(REVIEW / "policy.yaml")]) == 5
    assert "cannot be written" in capsys.readouterr().err


def test_each_file_may_be_a_policy_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = policy(tmp_path / "one.yaml", "bypass: [{name: vxlan, overlay: vxlan}]\n")
    two = policy(tmp_path / "two.yaml", "bypass: [{name: vxlan, overlay: vxlan}]\n")
    assert run(["review", *SMALL, str(one), str(two)]) == 8, "together they have one name twice"
    assert "two entries `vxlan`" in capsys.readouterr().out
    assert run(["review", *SMALL, "--each", str(one), str(two)]) == 0
    assert capsys.readouterr().out.count("Passed.") == 2


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["review", str(tmp_path / "absent.yaml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_waivers_are_judged_by_a_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = policy(tmp_path / "policy.yaml", "bypass: [{name: vxlan, overlay: vxlan}]\n")
    invariants = tmp_path / "invariants.yaml"
    invariants.write_text(
        "apiVersion: ctpolicy/invariants-v1\nname: owners\n"
        "invariants: [{name: none, at-most-entries: 0}]\n"
        "waivers: [{invariant: none, owner: net, reason: a move, expires: 2027-01-31}]\n"
    )
    asked = ["review", *SMALL, "--invariants", str(invariants), str(one)]
    assert run([*asked, "--as-of", "2027-01-31"]) == 0
    assert "waived by net until 2027-01-31: a move" in capsys.readouterr().out
    assert run([*asked, "--as-of", "2027-02-01"]) == 8
    assert "expired on 2027-01-31" in capsys.readouterr().out
