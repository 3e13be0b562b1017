"""What the pipelines of examples/review run is run: on a repository with a base and a change to it, as the forge does.

Each script is run by bash as its forge runs it, with the variables that it sets; only the installation is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest
import yaml

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "review"
GIT: Final = ("git", "-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
HARMLESS: Final = ("description: scrapes of the node exporter", "description: scrapes of the exporter")
HARMFUL: Final = ("peers: nodes", "peers: 192.168.0.0/16")
BROKEN: Final = "overlays-and-metrics-only"


def workflow() -> dict[Any, Any]:
    # To PyYAML the key `on` is True.
    loaded: dict[Any, Any] = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "policy.yml").read_text())
    return loaded


def gitlab() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLE / ".gitlab-ci.yml").read_text())
    return loaded


def scripts(job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The names and scripts of a job's steps on GitHub, but for the installation."""
    for step in job["steps"]:
        if "run" in step and not step["run"].startswith("python -m pip install"):
            yield step["name"], step["run"]


def of_gitlab(job: dict[str, Any]) -> str:
    return "\n".join(job["script"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The example as a repository with one commit."""
    there = tmp_path / "repository"
    shutil.copytree(EXAMPLE, there, ignore=shutil.ignore_patterns(".hypothesis", "__*", ".pytest_cache"))
    git(there, "init", "--quiet", "--initial-branch=main")
    commit(there, "a policy")
    return there


def git(there: Path, *arguments: str) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=there, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def commit(there: Path, message: str) -> None:
    git(there, "add", "--all")
    git(there, "commit", "--quiet", "--message", message)


def change(there: Path, right: str, wrong: str) -> str:
    """Commit a change of the policy; the revision before it."""
    base = git(there, "rev-parse", "HEAD")
    policy = (there / "policy.yaml").read_text()
    assert policy.count(right) == 1
    (there / "policy.yaml").write_text(policy.replace(right, wrong))
    commit(there, "a change")
    return base


def bash(there: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """As GitHub runs a step; GitLab's runner does nearly the same."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=there,
        env=os.environ | {"PATH": path, "CI": "true"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def on_github(there: Path, base: str) -> tuple[dict[str, subprocess.CompletedProcess[str]], str]:
    """What came of each step of the review, all of which run whatever became of those before, and the summary."""
    summary = there.parent / "summary.md"
    summary.touch()
    variables = {"BASE": base, "GITHUB_STEP_SUMMARY": str(summary)}
    ran = {name: bash(there, script, **variables) for name, script in scripts(workflow()["jobs"]["review"])}
    return ran, summary.read_text()


def test_review_on_github_of_a_harmless_change(repository: Path) -> None:
    ran, summary = on_github(repository, change(repository, *HARMLESS))
    assert {name: step.returncode for name, step in ran.items()} == {"Review": 0, "Summarize": 0}, ran
    assert json.loads((repository / "review.sarif").read_text())["version"] == "2.1.0"
    assert "<html" in (repository / "review.html").read_text()
    assert summary


def test_review_on_github_of_a_harmful_change(repository: Path) -> None:
    """It fails, and the reports are written."""
    ran, summary = on_github(repository, change(repository, *HARMFUL))
    assert {name: step.returncode for name, step in ran.items()} == {"Review": 8, "Summarize": 0}, ran
    assert BROKEN in summary
    assert BROKEN in ran["Review"].stdout
    assert BROKEN in (repository / "review.html").read_text()
    places = [
        location["physicalLocation"]["artifactLocation"]["uri"]
        for result in json.loads((repository / "review.sarif").read_text())["runs"][0]["results"]
        for location in result["locations"]
    ]
    assert "policy.yaml" in places


def test_review_on_github_of_a_policy_with_mistakes(repository: Path) -> None:
    ran, summary = on_github(repository, change(repository, "host-service: tcp/9100", "host-service: tcp/91000"))
    assert {name: step.returncode for name, step in ran.items()} == {"Review": 8, "Summarize": 0}, ran
    assert "91000" in summary


def test_mistake_of_ours_is_no_review(repository: Path) -> None:
    """A base that is not there, or a wrong option, must not pass as `something was found`."""
    ran, _ = on_github(repository, "no-such-revision")
    assert ran["Review"].returncode == 2, ran


@pytest.mark.parametrize(("right", "wrong", "status"), [(*HARMLESS, 0), (*HARMFUL, 8)])
def test_review_on_gitlab(repository: Path, right: str, wrong: str, status: int) -> None:
    base = change(repository, right, wrong)
    done = bash(repository, of_gitlab(gitlab()["policy-review"]), CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    assert done.returncode == status, done
    failures = list(ElementTree.parse(repository / "review.xml").iter("failure"))
    assert bool(failures) == bool(status)
    assert "<html" in (repository / "review.html").read_text()


def test_review_hook_takes_each_policy_by_itself(repository: Path) -> None:
    entry = next(
        one
        for one in yaml.safe_load((EXAMPLE.parents[1] / ".pre-commit-hooks.yaml").read_text())
        if "review" in one["id"]
    )
    (repository / "policies").mkdir()
    for name in ("a", "b"):
        shutil.copy(repository / "policy.yaml", repository / "policies" / f"{name}.yaml")
    command = f"{entry['entry']} --invariants invariants.yaml policies/a.yaml policies/b.yaml"
    assert bash(repository, command).returncode == 0
    policy = repository / "policies" / "b.yaml"
    policy.write_text(policy.read_text().replace(*HARMFUL))
    done = bash(repository, command)
    assert done.returncode == 8, done
    assert BROKEN in done.stdout


def test_reports_are_handed_on_whatever_the_review_says() -> None:
    after = [step for step in workflow()["jobs"]["review"]["steps"] if "pip install" not in step.get("run", "")][3:]
    assert [step["name"] for step in after] == ["Summarize", "Annotate the lines", "Keep the page"]
    assert all("!cancelled()" in step["if"] for step in after)
    assert gitlab()["policy-review"]["artifacts"]["when"] == "always"


def test_tests_of_the_team_run_in_both(repository: Path) -> None:
    (on_github_too,) = [script for _, script in scripts(workflow()["jobs"]["tests"])]
    done = bash(repository, f"{on_github_too} -q -k ssh")
    assert done.returncode == 0, done
    done = bash(repository, f"{of_gitlab(gitlab()['policy-tests'])} -q -k ssh")
    assert done.returncode == 0, done
    assert (repository / "tests.xml").exists()


def test_pull_requests_of_strangers_get_nothing_that_they_could_misuse() -> None:
    """The token can only read where code of the pull request is run, and nothing of a forge's goes into a script."""
    found = workflow()
    assert "pull_request_target" not in found[True]
    assert found["permissions"] == {}
    review, tests = found["jobs"]["review"], found["jobs"]["tests"]
    assert review["permissions"] == {"contents": "read", "security-events": "write"}
    assert tests["permissions"] == {"contents": "read"}
    assert not any("pytest" in script for _, script in scripts(review))
    assert not any("${{" in step.get("run", "") for job in (review, tests) for step in job["steps"])
    checkouts = [step["with"] for job in (review, tests) for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert all(one["persist-credentials"] is False for one in checkouts)
    assert checkouts[0]["fetch-depth"] == 0


def test_actions_and_images_are_pinned_to_versions() -> None:
    uses = [step["uses"] for job in workflow()["jobs"].values() for step in job["steps"] if "uses" in step]
    assert uses
    assert all(one.rpartition("@")[2].startswith("v") for one in uses)
    assert ":" in gitlab()[".policy"]["image"]
    assert "latest" not in gitlab()[".policy"]["image"]
    assert workflow()["env"]["CTPOLICY_SOURCE"] == gitlab()["variables"]["CTPOLICY_SOURCE"]
    assert workflow()["env"]["CTPOLICY_SOURCE"].endswith("@v0.1.0")
