"""Programs that stand in for the tools, on a PATH of the test's own: they say and do what it says."""

from __future__ import annotations

import shlex
from pathlib import Path


def program(directory: Path, name: str, script: str) -> None:
    """Install a program that is this shell script. The PATH has no other programs, so it names them in full."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def failing(directory: Path, name: str, status: int, errors: str, output: str = "") -> None:
    """Install a program that prints this and ends with this status, having read what it was given."""
    program(
        directory,
        name,
        f"/bin/cat >/dev/null\nprintf %s {shlex.quote(output)}\nprintf %s {shlex.quote(errors)} >&2\nexit {status}",
    )
