"""The door to the process that takes a change back if nobody confirms it.

It outlives the command that starts it, the terminal and the session: a transient unit where systemd runs, else a
process in a session of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ctpolicy.apply.files import Directory
from ctpolicy.errors import HostError

STARTED: Final = "timer"
"""The file, among those of the change, in which the process says that it is there, and who it is."""

_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": _PATH}
_SYSTEMD_RUNS: Final = Path("/run/systemd/system")
_START: Final = 20.0
"""Seconds that it may take to be there; it takes 0.3."""


def start(arguments: Sequence[str], directory: Path, unit: str, may_be_unit: bool) -> None:
    """Start `ctpolicy` with these arguments, and wait until it says that it is there.

    Args:
        arguments: for ctpolicy.
        directory: of the change, where it says so, and where what it prints goes.
        unit: a name for it.
        may_be_unit: whether systemd may run it, which does so in the host's network namespace.

    Raises:
        HostError: it does not start.
    """
    command = [sys.executable, "-I", "-m", "ctpolicy", *arguments]
    runner = shutil.which("systemd-run", path=_PATH) if may_be_unit and _SYSTEMD_RUNS.is_dir() else None
    try:
        if runner:
            _start_unit(runner, command, unit)
        else:
            _start_session(command, directory)
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"The timer of the confirmation cannot be started: {error}.") from error
    end = time.monotonic() + _START
    while not is_there(directory):
        if time.monotonic() > end:
            raise HostError(f"The timer of the confirmation did not start; see {directory / 'timer.log'}.")
        time.sleep(0.02)


def _start_unit(runner: str, command: Sequence[str], unit: str) -> None:
    # --collect: a unit that failed leaves its name to the next. What it prints is in the journal.
    options = ("--quiet", "--collect", f"--unit={unit}", "--property=Type=exec", "--property=KillMode=process")
    subprocess.run([runner, *options, *command], env=_ENVIRONMENT, check=True, timeout=_START)  # noqa: S603


def _start_session(command: Sequence[str], directory: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(directory / "timer.log", flags, 0o600), "wb") as log:
        subprocess.Popen(  # noqa: S603 (no shell, absolute path, clean environment)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
        )


def say_that_it_is_there(directory: Path) -> None:
    """What the process does first: from now on neither a terminal nor a session that ends takes it along."""
    for one in (signal.SIGHUP, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    its = Directory(directory)
    its.write(STARTED, f"{os.getpid()} {_start_of(os.getpid())}".encode())
    its.close()


def is_there(directory: Path) -> bool:
    """Whether the process of this change is there still."""
    try:
        number, began = (directory / STARTED).read_text().split()
        return _start_of(int(number)) == began
    except (OSError, ValueError):
        return False


def _start_of(number: int) -> str:
    """When a process began, which tells it from another that has its number later; proc(5), field 22 of stat."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return "gone" if fields[0] in {"Z", "X"} else fields[19]
