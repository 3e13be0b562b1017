"""The process that waits for a confirmation: a transient unit where systemd runs, else a session of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ctpolicy.apply import timer
from ctpolicy.errors import HostError

STANDS_IN_FOR_SYSTEMD = """#!/bin/sh
echo "$@" > "$(dirname "$0")/asked"
for word in "$@"; do
    case $word in --*) shift ;; *) break ;; esac
done
exec "$(dirname "$0")/timer" "$@" &
"""
SAYS_THAT_IT_IS_THERE = """#!/bin/sh
read -r line < /proc/$$/stat
set -- $line
shift 21
echo "$$ $1" > DIRECTORY/timer
exec sleep 30
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "change"
    found.mkdir(mode=0o700)
    return found


def tool(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def systemd(tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for systemd-run; what it was asked is in the file `asked` beside it."""
    tools = tmp_path / "tools"
    tool(tools / "systemd-run", STANDS_IN_FOR_SYSTEMD)
    tool(tools / "timer", SAYS_THAT_IT_IS_THERE.replace("DIRECTORY", str(directory)))
    monkeypatch.setattr(timer, "_PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr(timer, "_ENVIRONMENT", {"PATH": f"{tools}:/usr/bin:/bin"})
    monkeypatch.setattr(timer, "_SYSTEMD_RUNS", tmp_path)
    return tools


def end(directory: Path) -> None:
    os.kill(int((directory / "timer").read_text().split()[0]), 9)


def test_systemd_runs_it_as_a_transient_unit(systemd: Path, directory: Path) -> None:
    timer.start(["await-confirmation", "7"], directory, "ctpolicy-confirm-7", may_be_unit=True)
    asked = (systemd / "asked").read_text()
    assert "--unit=ctpolicy-confirm-7" in asked
    assert "--collect" in asked
    assert asked.rstrip().endswith("-I -m ctpolicy await-confirmation 7")
    assert timer.is_there(directory)
    end(directory)
    until = time.monotonic() + 10
    while timer.is_there(directory):
        assert time.monotonic() < until


def test_systemd_is_not_asked_about_another_namespace_of_ours(
    systemd: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer, "_START", 0.2)
    with pytest.raises(HostError, match="did not start"):
        timer.start(["no-such-command"], directory, "unit", may_be_unit=False)
    assert not (systemd / "asked").exists()
    assert (directory / "timer.log").exists()


def test_a_unit_that_systemd_does_not_start_is_told(systemd: Path, directory: Path) -> None:
    tool(systemd / "systemd-run", "#!/bin/sh\nexit 1\n")
    with pytest.raises(HostError, match="cannot be started"):
        timer.start(["await-confirmation", "7"], directory, "unit", may_be_unit=True)


def test_a_process_that_has_the_number_of_another_is_not_taken_for_it(directory: Path) -> None:
    other = subprocess.Popen(["sleep", "30"])
    try:
        (directory / "timer").write_text(f"{other.pid} 1")
        assert not timer.is_there(directory)
        (directory / "timer").write_text("what?")
        assert not timer.is_there(directory)
    finally:
        other.kill()
        other.wait()
