"""What a review of large policies takes: the command as CI runs it, with its base, its proofs and its properties."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.commands import HEADER, many_entries
from benchmarks.measuring import Measurement, show

SECONDS_LIMIT: Final = 30.0
MEGABYTES_LIMIT: Final = 500.0
ENTRIES: Final = 10_000


def measure_reviews() -> list[Measurement]:
    """A review of ten thousand entries against a base in which one differs, and one in which all do."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for shape, policy in (
            ("ports", many_entries(Path(directory))),
            ("services with clients that they share", _services(Path(directory))),
        ):
            text = policy.read_text()
            one = policy.with_name(f"one-{policy.name}")
            one.write_text(text.replace(": udp/12345", ": udp/12346"))
            every = policy.with_name(f"every-{policy.name}")
            every.write_text(text.replace(": udp/", ": tcp/"))
            rows += _measured(f"review, {ENTRIES:,} {shape}, one differs", policy, one)
            rows += _measured(f"review, {ENTRIES:,} {shape}, all differ", policy, every)
    return rows


def _services(directory: Path) -> Path:
    entries = "".join(
        f"  - {{name: port-{port}, host-service: udp/{port}, peers: nodes}}\n" for port in range(10_000, 60_000, 5)
    )
    path = directory / "services.yaml"
    path.write_text(f"{HEADER}groups:\n  nodes: [192.168.7.0/24, 'fd00:7::/64']\nbypass:\n{entries}")
    return path


def _measured(group: str, policy: Path, base: Path) -> list[Measurement]:
    command = [sys.executable, "-m", "ctpolicy", "review", "--no-kernel", "--base", str(base), str(policy)]
    began = time.perf_counter()
    child = os.posix_spawn(sys.executable, command, os.environ, file_actions=[_quiet(1)])
    _, status, usage = os.wait4(child, 0)
    took = time.perf_counter() - began
    assert os.waitstatus_to_exitcode(status) in {0, 8}, "it is a review"
    megabytes = usage.ru_maxrss / 1024
    return [
        Measurement(group, "time, to 30 s", took, "s", took / SECONDS_LIMIT, 1.0),
        Measurement(group, "memory, to 500 MB", megabytes, "MB", megabytes / MEGABYTES_LIMIT, 1.0),
    ]


def _quiet(descriptor: int) -> tuple[int, int, str, int, int]:
    return (os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_WRONLY, 0)


if __name__ == "__main__":
    show(measure_reviews())
