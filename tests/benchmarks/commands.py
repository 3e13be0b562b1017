"""What the commands cost: compiling, a plan with nothing to do, and starting at all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measuring import Measurement, least, seconds
from ctpolicy.language.load import load_files
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import load_document
from kernel.command_line import EXAMPLES
from kernel.namespace import Namespace

PLAN_LIMIT: Final = 2.5
_COMMAND: Final = str(Path(sys.executable).with_name("ctpolicy"))
_EXAMPLE: Final = EXAMPLES / "openshift-worker.yaml"
HEADER: Final = "apiVersion: ctpolicy/v1\nname: measured\n"


def measure_compile() -> list[Measurement]:
    """From files to libnftables JSON, and the same as a command."""
    group = "compiling, from the files to JSON"
    with tempfile.TemporaryDirectory() as directory:
        policies = {
            "10,000 entries": many_entries(Path(directory)),
            "an address file of 100,000 lines": many_peers(Path(directory)),
        }
        runs: dict[str, Callable[[], float]] = {}
        for name, policy in policies.items():
            runs[f"{name}, loading"] = seconds(partial(load_files, [policy]))
            runs[f"{name}, loading and compiling"] = seconds(partial(_compile, policy))
            runs[f"{name}, ctpolicy compile"] = seconds(partial(_run, _COMMAND, "compile", policy))
        return [Measurement(group, name, 1000 * took, "ms") for name, took in least(3, runs).items()]


def _compile(policy: Path) -> None:
    load_document(compile_policy(load_files([policy])))


def measure_plan() -> list[Measurement]:
    """A plan with nothing to do against the kernel's own listing of the table, which it has to read."""
    with tempfile.TemporaryDirectory() as directory:
        return [
            # No limit for an example: nft takes 4 ms, and Python alone more than twice that to start.
            *_measure_plan("an example", _EXAMPLE, 9, None),
            *_measure_plan("10,000 entries", many_entries(Path(directory)), 4, PLAN_LIMIT),
            *_measure_plan("100,000 prefixes", many_peers(Path(directory)), 4, PLAN_LIMIT),
        ]


def _measure_plan(name: str, policy: Path, runs: int, limit: float | None) -> list[Measurement]:
    group = "a plan with nothing to do"
    with Namespace() as host:
        _run(_COMMAND, "apply", policy, "--netns", host.path, "--yes")
        took = least(
            runs,
            {
                "list": seconds(lambda: _run(*host.command("nft", "-j", "list", "table", "inet", "ctpolicy"))),
                "plan": seconds(lambda: _run(_COMMAND, "plan", policy, "--netns", host.path, "--detailed-exitcode")),
            },
        )
    return [
        Measurement(group, f"{name}, nft -j list table", 1000 * took["list"], "ms", 1.0),
        Measurement(group, f"{name}, ctpolicy plan", 1000 * took["plan"], "ms", took["plan"] / took["list"], limit),
    ]


def measure_start() -> list[Measurement]:
    """The start of a command that touches no host."""
    group = "starting"
    took = least(
        9,
        {
            "python3 -c pass": seconds(lambda: _run(sys.executable, "-c", "pass")),
            "ctpolicy validate, an example": seconds(lambda: _run(_COMMAND, "validate", _EXAMPLE)),
        },
    )
    yardstick = took["python3 -c pass"]
    return [
        Measurement(group, name, 1000 * least_time, "ms", least_time / yardstick) for name, least_time in took.items()
    ]


def many_entries(directory: Path) -> Path:
    """Entries with a port of their own."""
    entries = "".join(f"  - {{name: port-{port}, ports: udp/{port}}}\n" for port in range(10_000, 60_000, 5))
    path = directory / "entries.yaml"
    path.write_text(f"{HEADER}bypass:\n{entries}")
    return path


def many_peers(directory: Path) -> Path:
    """One overlay whose peers are a file."""
    lines = (f"11.{at >> 11}.{(at >> 3) & 255}.{(at & 7) * 32}/28\n" for at in range(100_000))
    (directory / "nodes.txt").write_text("".join(lines))
    path = directory / "peers.yaml"
    entry = "bypass:\n  - {name: vxlan, overlay: vxlan, peers: nodes}\n"
    path.write_text(f"{HEADER}groups:\n  nodes: {{file: nodes.txt}}\n{entry}")
    return path


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True)
