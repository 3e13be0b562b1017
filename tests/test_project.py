"""What surrounds the code is as it says: set-up, licence, packaging, and tools that leave the machine alone."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import ctpolicy

ROOT: Final = Path(__file__).parent.parent
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCRIPTS: Final = [ROOT / ".ci" / "run", ROOT / "examples" / "demo", *sorted((ROOT / "tools").iterdir())]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where Debian keeps nft
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PATH": path} | environment, capture_output=True, text=True, timeout=60
    )


def committed_texts() -> Iterator[tuple[Path, str]]:
    """The project's own files: what is not hidden (but .ci and .gitignore), built or cached."""
    for entry in sorted(ROOT.iterdir()):
        if entry.name in {".ci", ".gitignore"} or (
            not entry.name.startswith(".") and entry.name not in {"build", "dist"}
        ):
            for path in [entry] if entry.is_file() else sorted(entry.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path):
                    yield path.relative_to(ROOT), path.read_text(errors="replace")


def test_version_is_the_same_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    assert ctpolicy.__version__ == version
    assert version in (ROOT / "CHANGELOG.md").read_text()


def test_license_is_the_whole_gpl_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.lstrip().startswith("GNU GENERAL PUBLIC LICENSE")
    assert "Version 2, June 1991" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PYPROJECT["project"]["license"]["text"] == "GPL-2.0-or-later"


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
    extras = PYPROJECT["project"]["optional-dependencies"]
    for requirement in PYPROJECT["project"]["dependencies"] + extras["testing"] + extras["dev"]:
        name, floor = re.match(r"([A-Za-z-]+)[\[=>]*([0-9.]*)", requirement).groups()  # type: ignore[union-attr]
        if name == "ctpolicy":
            continue
        named = re.compile(rf"\|(.*, )?{name}[, ]")  # in the first column, and not as a part of another name
        line = next((line for line in reasons.splitlines() if named.match(line.replace("| ", "|", 1))), None)
        assert line is not None, f"{name} has no line in 0001-dependencies.md"
        assert floor.rstrip(".") in line, f"{name}: the version in 0001-dependencies.md is not {floor}"


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_download_address_and_no_lock_file() -> None:
    address = re.compile(r"https?://[^ \"]+[.](whl|tgz|deb|tar[.]gz)|(extra-)?index-url\s*=")
    for path, text in committed_texts():
        assert not address.search(text), f"{path} records where something is downloaded"
        assert not re.search(r"[.-]lock$|^requirements.*[.]txt$", path.name), f"{path} is a lock file"


def test_links_between_documents_lead_somewhere() -> None:
    for path, text in committed_texts():
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#:]+)\)", text):
                assert (ROOT / path.parent / target).exists(), f"{path} links to {target}"


def test_help_explains_every_target_that_make_has() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^[.]PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    shown = run("make", "help").stdout
    assert re.findall(r"make (\w+)\t\S", shown) == targets[1].split()


def test_continuous_integration_runs_what_everybody_runs() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert commands[-1] == "exec make test"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_is_runnable_and_stops_at_the_first_error(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert re.search(r"^set -eu(o pipefail)?$", script.read_text(), re.MULTILINE)
    assert run("bash", "-n", str(script)).stderr == ""


def test_set_up_says_so_when_python_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python2"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    refused = run("tools/install-system-packages", PYTHON=str(old))
    assert refused.returncode == 1
    assert "needs Python 3.11 or later" in refused.stderr


def test_set_up_asks_for_the_tools_that_are_used_and_no_others() -> None:
    tools = [
        "chromium",
        "conntrack",
        "ethtool",
        "ip",
        "ipset",
        "iptables",
        "nft",
        "ping",
        "socat",
        "ss",
        "systemctl",
        "unshare",
    ]
    sources = [path for path in (ROOT / "tests").rglob("*.py") if path.parent != ROOT / "tests"]
    in_python = "\n".join(path.read_text() for path in sources)
    in_shell = "\n".join(path.read_text() for path in SCRIPTS if path.name != "install-system-packages")
    used = {tool for tool in tools if f'"{tool}"' in in_python or re.search(rf"(^|[ '(]){tool} -?[a-z]", in_shell)}
    asked = set(re.findall(r" has ([a-z]+)$", (ROOT / "tools" / "install-system-packages").read_text(), re.MULTILINE))
    assert asked == used


def test_set_up_does_nothing_when_all_is_there() -> None:
    done = run("tools/install-system-packages", PYTHON=sys.executable)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.kernel
def test_what_happens_in_a_scratch_namespace_stays_there() -> None:
    before = run("nft", "list", "tables").stdout
    inside = run(
        "tools/scratch-namespace", "sh", "-c", "nft add table inet visitor; ip netns add host; nft list tables"
    )
    assert "table inet visitor" in inside.stdout
    assert run("nft", "list", "tables").stdout == before
    assert not Path("/run/netns/host").exists()


@pytest.mark.kernel
def test_scratch_namespace_hands_on_the_exit_status() -> None:
    assert run("tools/scratch-namespace", "sh", "-c", "exit 7").returncode == 7


@pytest.mark.kernel
def test_scratch_namespace_reports_a_change_of_the_ruleset_outside() -> None:
    """An outer scratch namespace plays the machine; the command in the inner one breaks out into it."""
    breaking_out = "tools/scratch-namespace nsenter --net=/proc/$$/ns/net nft add table inet intruder"
    outcome = run("tools/scratch-namespace", "bash", "-c", f"{breaking_out}; echo status $?")
    assert outcome.stdout == "status 1\n"
    assert "The ruleset of this machine changed" in outcome.stderr
    assert "> table inet intruder" in outcome.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """ctpolicy as a wheel, built from a copy, so that nothing is left in the checkout."""
    copy, out = tmp_path_factory.mktemp("source") / "ctpolicy", tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".*", "*.egg-info", "build", "__pycache__")
    )
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    built = run(*pip, "--wheel-dir", str(out), str(copy))
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_wheel_has_every_module_and_nothing_else_of_ours(wheel: zipfile.ZipFile) -> None:
    modules = {str(path.relative_to(ROOT / "policy")) for path in (ROOT / "policy" / "ctpolicy").rglob("*.py")}
    packed = set(wheel.namelist())
    assert {name for name in packed if name.endswith(".py")} == modules
    assert "ctpolicy/py.typed" in packed
    assert any(name.endswith("LICENSE") for name in packed)


def test_wheel_has_the_schemas_that_editors_read(wheel: zipfile.ZipFile) -> None:
    schemas = sorted((ROOT / "schemas").glob("*.json"))
    assert schemas != []
    for schema in schemas:
        assert wheel.read(f"ctpolicy/schemas/{schema.name}") == schema.read_bytes()


def test_wheel_has_the_style_and_the_script_of_reviews_pages(wheel: zipfile.ZipFile) -> None:
    page = "ctpolicy/review/reports/page"
    for name in ("style.css", "sort.js"):
        assert wheel.read(f"{page}/{name}") == (ROOT / "policy" / page / name).read_bytes()
