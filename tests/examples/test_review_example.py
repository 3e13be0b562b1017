"""examples/review is what it says: a team could copy it, and its tests, invariants, hooks and pipelines work."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from check_jsonschema.cli import main as check_jsonschema
from click.testing import CliRunner
from hypothesis import Phase, settings
from pre_commit.clientlib import load_config, load_manifest

from ctpolicy.cli.main import run
from ctpolicy.language.invariants import load_invariants_files
from ctpolicy.language.load import load_files
from ctpolicy.review.invariants import check_invariants
from ctpolicy.review.review import Result
from loaded_first import LOADED

pytest_plugins = ["pytester"]

ROOT: Final = Path(__file__).parents[2]
EXAMPLE: Final = ROOT / "examples" / "review"
WORKFLOW: Final = EXAMPLE / ".github" / "workflows" / "policy.yml"
HOOKS: Final = ROOT / ".pre-commit-hooks.yaml"


assert LOADED, "before pytester runs"


@pytest.fixture
def team(pytester: pytest.Pytester) -> pytest.Pytester:
    """The example, copied as a team would."""
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".hypothesis", "__*"))
    return pytester


def outcomes(team: pytest.Pytester, *only: str) -> tuple[set[str], set[str]]:
    """The team's tests that passed, and those that did not."""
    ours = settings.get_current_profile_name()
    settings.register_profile(
        "found", settings(derandomize=True, database=None, phases=[Phase.generate], deadline=None)
    )
    arguments = ("-p", "no:xdist", "-p", "no:cacheprovider", "--hypothesis-profile=found", "-v", *only)
    try:
        told = team.runpytest_inprocess(*arguments).stdout.str()
    finally:
        settings.load_profile(ours)
    found = re.findall(r"::(\w+) (PASSED|FAILED)", told)
    passed = {name for name, outcome in found if outcome == "PASSED"}
    failed = {name for name, outcome in found if outcome == "FAILED"}
    assert passed or failed, told
    return passed, failed


def test_tests_of_the_team_pass(team: pytest.Pytester) -> None:
    passed, failed = outcomes(team)
    assert failed == set()
    assert len(passed) == (EXAMPLE / "tests" / "test_policy.py").read_text().count("def test_")


@pytest.mark.parametrize(
    ("right", "wrong", "finds"),
    [
        (
            "track:\n",
            "  - {name: jump, ports: tcp/22, acknowledge: why not}\ntrack-no-more:\n",
            "test_ssh_is_never_bypassed",
        ),
        ("ports: tcp/22", "ports: tcp/23", "test_what_is_bypassed_would_not_be_if_it_were_ssh"),
        (
            "both-ways: true}",
            "both-ways: false, paths: [in]}",
            "test_what_is_bypassed_would_not_be_if_it_went_to_a_service",
        ),
        ("peers: nodes", "peers: 192.168.7.0/25", "test_every_node_reaches_every_node_by_vxlan_untracked"),
        ("overlay: vxlan", "overlay: vxlan\n    paths: [in, forward, out]", "test_what_is_only_passed_on_is_tracked"),
        (
            "host-service: tcp/9100\n    peers: monitoring",
            "match: {protocol: tcp, source: monitoring, destination-ports: 9100, paths: [in]}",
            "test_reply_fares_as_its_request",
        ),
        (
            "track:\n",
            "  - name: more\n    host-service: tcp/9100\ntrack:\n",
            "test_scrapes_come_from_our_monitoring_alone",
        ),
    ],
)
def test_each_of_them_finds_what_it_is_there_for(team: pytest.Pytester, right: str, wrong: str, finds: str) -> None:
    policy = team.path / "policy.yaml"
    entries = policy.read_text().partition("expect:")[0]  # the expectations would find most of these first
    assert entries.count(right) == 1
    policy.write_text(entries.replace(right, wrong).partition("track-no-more:")[0])
    assert outcomes(team, "-k", finds) == (set(), {finds})


def broken(policy: Path) -> set[str]:
    """The example's invariants that a policy breaks."""
    invariants = load_invariants_files([EXAMPLE / "invariants.yaml"])
    checks = check_invariants(load_files([policy]), invariants, datetime.now(UTC).date())
    assert len(checks) == (EXAMPLE / "invariants.yaml").read_text().count("  - name: ")
    return {check.name for check in checks if check.result is not Result.HELD}


def test_invariants_hold() -> None:
    assert broken(EXAMPLE / "policy.yaml") == set()


@pytest.mark.parametrize(
    ("right", "wrong", "breaks"),
    [
        ("peers: nodes", "peers: 192.168.0.0/16", "overlays-and-metrics-only"),
        ("ports: tcp/22", "host-service: tcp/22", "ssh-stays-tracked"),
    ],
)
def test_what_the_readme_says_to_try_breaks_what_it_says(tmp_path: Path, right: str, wrong: str, breaks: str) -> None:
    readme, text = (EXAMPLE / "README.md").read_text(), (EXAMPLE / "policy.yaml").read_text()
    assert all(f"`{word}`" in readme for word in (right, wrong.partition(" ")[2], breaks))
    (tmp_path / "policy.yaml").write_text(text.replace(right, wrong))
    assert text.count(right) == 1
    assert broken(tmp_path / "policy.yaml") == {breaks}


def test_waiver_that_is_shown_is_one(tmp_path: Path) -> None:
    text = (EXAMPLE / "invariants.yaml").read_text()
    (tmp_path / "invariants.yaml").write_text(re.sub(r"^# ?(?=waivers:| {2})", "", text, flags=re.MULTILINE))
    (waiver,) = load_invariants_files([tmp_path / "invariants.yaml"]).waivers
    assert (waiver.invariant, waiver.owner) == ("few-entries", "network-team")


def test_every_file_that_has_an_owner_is_there() -> None:
    owned = re.findall(r"^/(\S+) +@", (EXAMPLE / ".github" / "CODEOWNERS").read_text(), re.MULTILINE)
    assert {"invariants.yaml", "policy.yaml", ".github/"} <= set(owned)
    assert all((EXAMPLE / name).exists() for name in owned)


def test_readme_names_every_file() -> None:
    readme = (EXAMPLE / "README.md").read_text()
    files = [path.relative_to(EXAMPLE) for path in EXAMPLE.rglob("*") if path.is_file()]
    kept = [path for path in files if not {".hypothesis", "__pycache__", ".pytest_cache"} & set(path.parts)]
    assert [
        str(path) for path in kept if path.name not in {"README.md", ".gitignore"} and f"]({path})" not in readme
    ] == []


@pytest.mark.parametrize(
    ("schema", "file"), [("github-workflows", WORKFLOW), ("gitlab-ci", EXAMPLE / ".gitlab-ci.yml")]
)
def test_pipeline_is_valid_by_the_published_schema(schema: str, file: Path, tmp_path: Path) -> None:
    def told(path: Path) -> str:
        return CliRunner().invoke(check_jsonschema, ["--builtin-schema", f"vendor.{schema}", str(path)]).output

    assert told(file) == "ok -- validation done\n"
    faulty = tmp_path / file.name
    faulty.write_text(
        file.read_text().replace("policy-review:\n", "policy-review:\n  scripts: 7\n").replace("runs-on", "on")
    )
    assert "Schema validation errors" in told(faulty)


def test_hooks_and_their_configuration_are_valid_for_pre_commit() -> None:
    hooks = load_manifest(str(HOOKS))
    assert {hook["id"] for hook in hooks} == {"ctpolicy-validate", "ctpolicy-review"}
    (repository,) = load_config(str(EXAMPLE / ".pre-commit-config.yaml"))["repos"]
    assert {hook["id"] for hook in repository["hooks"]} == {hook["id"] for hook in hooks}
    assert all(hook["language"] == "python" and hook["types"] == ["yaml"] for hook in hooks)
    assert not re.search(r"[;&|<>$`]", " ".join(hook["entry"] for hook in hooks)), "no shell reads an entry"


@pytest.mark.parametrize(
    ("name", "is_policy"),
    [
        ("policy.yaml", True),
        ("hosts/worker-policy.yml", True),
        ("policies/worker.yaml", True),
        ("site/policies/eu/worker.yaml", True),
        ("invariants.yaml", False),
        ("policy.txt", False),
        (".gitlab-ci.yml", False),
        (".github/workflows/policy.yml", False),  # the first trial with pre-commit took it for one
    ],
)
def test_hooks_tell_policies_by_their_names(name: str, is_policy: bool) -> None:
    for hook in load_manifest(str(HOOKS)):
        taken = re.search(hook["files"], name) and not re.search(hook["exclude"], name)
        assert bool(taken) == is_policy, hook["id"]


def test_validate_hook_passes_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    examples = sorted(map(str, (ROOT / "examples").glob("*.yaml")))
    assert run([*entry_of("ctpolicy-validate"), *examples, str(EXAMPLE / "policy.yaml")]) == 0
    assert capsys.readouterr().out.count(": valid (") == len(examples) + 1


def entry_of(hook: str) -> list[str]:
    """What a hook runs, without the program."""
    entries: dict[str, Any] = {one["id"]: one["entry"] for one in yaml.safe_load(HOOKS.read_text())}
    program, *arguments = str(entries[hook]).split()
    assert program == "ctpolicy"
    return arguments
