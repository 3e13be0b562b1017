"""ctpolicy as its users run it: the installed command, on a host in a scratch namespace."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

import pytest

from ctpolicy.cli.main import run
from ctpolicy.iptables.ruleset import Variant
from kernel.namespace import Namespace

each_backend = pytest.mark.parametrize(
    "backend", ["nftables", "iptables-nft", pytest.param("iptables-legacy", marks=pytest.mark.soak)]
)
"""Legacy compiles to the same rules as nft, and the kernel law asks both, so its real traffic is left to the soak."""

nftables_and_in_soak_the_rest = pytest.mark.parametrize(
    "backend",
    ["nftables", *(pytest.param(f"iptables-{variant}", marks=pytest.mark.soak) for variant in ("nft", "legacy"))],
)
"""For traffic that another test sends through iptables as well."""

nft_and_in_soak_legacy = pytest.mark.parametrize(
    "variant",
    [pytest.param(Variant.NFT, id="nft"), pytest.param(Variant.LEGACY, id="legacy", marks=pytest.mark.soak)],
)
"""For what both variants do by the same code, and takes seconds."""

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


def ctpolicy(*arguments: str | Path) -> str:
    """What the command prints; a failure is an assertion with what it printed."""
    command = [sys.executable, "-c", "from ctpolicy.cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"ctpolicy {' '.join(map(str, arguments))}\n{done.stderr}{done.stdout}"
    return done.stdout


def apply_example(name: str, backend: str, *hosts: Namespace) -> None:
    """Apply an example on hosts, and forget the entries that were there: bypassing does not delete them."""
    for host in hosts:
        ctpolicy("apply", EXAMPLES / f"{name}.yaml", "--backend", backend, "--netns", host.path, "--yes")
        host.run("conntrack", "-F")


def packets(host: Namespace, backend: str) -> dict[str, int]:
    """The packets that each live entry has counted, by the entry's name."""
    found = json.loads(ctpolicy("status", "--json", "--backend", backend, "--netns", host.path))
    assert found["inForce"], found
    return {entry["name"]: entry["packets"] for entry in found["entries"]}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it printed."""

    status: int
    output: str
    errors: str


def ran(*arguments: str | Path) -> Ran:
    """Run the command in this process, which takes no time to start."""
    with redirect_stdout(StringIO()) as output, redirect_stderr(StringIO()) as errors:
        status = run([str(argument) for argument in arguments])
    return Ran(status, output.getvalue(), errors.getvalue())


def done(*arguments: str | Path) -> str:
    """What a command printed that has to succeed, run in this process."""
    ended = ran(*arguments)
    assert ended.status == 0, f"ctpolicy {' '.join(map(str, arguments))}: {ended}"
    return ended.output
