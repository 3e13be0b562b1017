"""`ctpolicy install-service`: what it prints, writes and takes away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import pytest

from ctpolicy.apply.service import MARK, NAME
from kernel.command_line import ran
from kernel.namespace import skip_but_for_ci

ROOT = Path(__file__).parents[2]
"""Where a service may run from: not below /tmp, as pytest's own directories are."""


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """The `ctpolicy` of a virtual environment whose path has a blank and a percent sign."""
    if not os.access("/opt", os.W_OK):
        skip_but_for_ci("only root installs for root")
    with TemporaryDirectory(prefix="ctpolicy 100% ", dir="/opt") as made:
        directory = Path(made)
        directory.chmod(0o755)
        venv.create(directory, symlinks=True)
        (packages,) = directory.glob("lib/python*/site-packages")
        shutil.copytree(ROOT / "policy" / "ctpolicy", packages / "ctpolicy", symlinks=False)
        (packages / "others.pth").write_text(f"{Path(str(click.__file__)).parents[1]}\n")
        command = directory / "bin" / "ctpolicy"
        command.write_text(
            f"#!/bin/sh\nexec '{directory}/bin/python' -c 'from ctpolicy.cli.main import main; main()' \"$@\"\n"
        )
        command.chmod(0o755)
        yield command


def _run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, timeout=60)


def test_from_a_virtual_environment_it_is_printed_written_checked_and_removed(installed: Path, tmp_path: Path) -> None:
    printed = _run(installed, "install-service", "--print")
    assert printed.returncode == 0, printed
    assert printed.stdout.startswith(MARK)
    quoted = str(installed).replace("%", "%%")
    assert f'ExecStart="{quoted}" restore\n' in printed.stdout
    written = _run(installed, "install-service", "--directory", tmp_path)
    assert written.returncode == 0, written
    assert "systemctl enable --now ctpolicy" in written.stdout
    assert (tmp_path / NAME).read_text() == printed.stdout
    verified = _run("systemd-analyze", "verify", tmp_path / NAME)
    assert (verified.returncode, verified.stderr) == (0, "")
    removed = _run(installed, "install-service", "--remove", "--directory", tmp_path)
    assert removed.returncode == 0, removed
    assert list(tmp_path.iterdir()) == []
    assert _run(installed, "install-service", "--remove", "--directory", tmp_path).returncode == 0


def test_what_the_caller_says_of_the_command_is_looked_at(installed: Path, tmp_path: Path) -> None:
    stranger = installed.parent / "strangers"
    stranger.write_text("#!/bin/sh\n")
    stranger.chmod(0o755)
    os.chown(stranger, 12345, 12345)
    done = _run(installed, "install-service", "--directory", tmp_path, "--command", stranger)
    assert done.returncode == 2, done
    assert f"{stranger} belongs to user 12345" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_print_and_remove_together_are_status_2() -> None:
    assert ran("install-service", "--print", "--remove").status == 2


def test_a_directory_that_is_not_there_is_status_5(installed: Path, tmp_path: Path) -> None:
    done = _run(installed, "install-service", "--directory", tmp_path / "nowhere")
    assert done.returncode == 5, done
    assert "No such file or directory" in done.stderr


def test_of_this_interpreter_everything_that_is_run_is_looked_at(tmp_path: Path) -> None:
    """Whatever the answer is here, it is one: written, or refused with a reason that names a path."""
    ended = ran("install-service", "--directory", tmp_path, "--command", Path(sys.executable))
    assert ended.status in {0, 2}
    assert (tmp_path / NAME).exists() == (ended.status == 0)
