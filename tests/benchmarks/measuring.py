"""Measurements that can be compared on a noisy machine: interleaved, and the least of several runs."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the report.

    Args:
        group: what is compared with each other.
        name: of what was measured.
        value: the least of several runs.
        unit: of the value.
        ratio: to the group's yardstick, which has 1; None where there is none.
        limit: the highest ratio that is meant to be; None where no limit is set.
    """

    group: str
    name: str
    value: float
    unit: str
    ratio: float | None = None
    limit: float | None = None

    @property
    def is_missed(self) -> bool:
        """Whether the limit is passed."""
        return self.limit is not None and self.ratio is not None and self.ratio > self.limit


def least(runs: int, variants: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The least that each variant gave in so many rounds, A B C A B C: what disturbs the machine disturbs them all."""
    found: dict[str, float] = {}
    for _ in range(runs):
        for name, run in variants.items():
            found[name] = min(run(), found.get(name, float("inf")))
    return found


def seconds(action: Callable[[], object]) -> Callable[[], float]:
    """How long an action takes, by the clock on the wall."""

    def timed() -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    return timed


def show(measurements: list[Measurement]) -> None:
    """Print the report, group by group."""
    width = max(len(measurement.name) for measurement in measurements)
    group = ""
    for row in measurements:
        if row.group != group:
            group = row.group
            print(f"\n{group}\n")
        ratio = "" if row.ratio is None else f"{row.ratio:8.2f}"
        limit = "" if row.limit is None else f"  at most {row.limit:g}: {'MISSED' if row.is_missed else 'held'}"
        print(f"  {row.name:<{width}}  {row.value:>12,.1f} {row.unit:<3}  {ratio:>8}{limit}".rstrip())


def save(measurements: list[Measurement], path: Path) -> None:
    """Write the report as JSON, with the kernel that it is about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"kernel": platform.release(), "python": platform.python_version()}
    path.write_text(json.dumps(report | {"measurements": [asdict(row) for row in measurements]}, indent=2) + "\n")
