"""ctpolicy as its users run it: the installed command, on a host in a scratch namespace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from kernel.namespace import Namespace

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


def ctpolicy(*arguments: str | Path) -> str:
    """What the command prints; a failure is an assertion with what it printed."""
    command = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"ctpolicy {' '.join(map(str, arguments))}\n{done.stderr}{done.stdout}"
    return done.stdout


def apply_example(name: str, *hosts: Namespace) -> None:
    """Apply an example on hosts, and forget the entries that were there: bypassing does not delete them."""
    for host in hosts:
        ctpolicy("apply", EXAMPLES / f"{name}.yaml", "--netns", host.path, "--yes")
        host.run("conntrack", "-F")


def packets(host: Namespace) -> dict[str, int]:
    """The packets that each live entry has counted, by the entry's name."""
    found = json.loads(ctpolicy("status", "--json", "--netns", host.path))
    assert found["inForce"], found
    return {entry["name"]: entry["packets"] for entry in found["entries"]}
