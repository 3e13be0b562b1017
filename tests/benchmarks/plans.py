"""What a plan costs beside reading what it must read: the policy's file and the live table.

Both are measured in one process, one after the other, as `ctpolicy plan` does them; the kernel is a scratch
namespace's.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.commands import HEADER, many_entries, many_peers
from benchmarks.measuring import Measurement, least, seconds, show
from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.backend import NFTABLES
from ctpolicy.nftables.ruleset import Table
from ctpolicy.plan.plan import plan_policy
from ctpolicy.plan.report import plan_lines
from kernel.live import apply_in, host_of
from kernel.namespace import Namespace

READING_LIMIT: Final = 2.0
"""A plan, reading included, to reading alone."""


def measure_plans() -> list[Measurement]:
    """A plan of one change, and the first, of each kind of policy."""
    gc.freeze()
    with tempfile.TemporaryDirectory() as directory:
        shapes = {
            "10,000 entries": many_entries(Path(directory)),
            "10,000 services with clients of their own": _services(Path(directory)),
            "100,000 prefixes": many_peers(Path(directory)),
        }
        nodes = Path(directory, "nodes.txt")
        nodes.with_name("changed-nodes.txt").write_text(nodes.read_text().replace("11.20.0.32/28", "11.20.0.48/28"))
        return [row for name, policy in shapes.items() for row in _measure(name, policy)]


def _measure(name: str, policy: Path) -> Iterator[Measurement]:
    changed = policy.with_name(f"changed-{policy.name}")
    changed.write_text(_CHANGES[policy.stem](policy.read_text()))
    with Namespace() as host, Namespace() as untouched:
        apply_in(host, load_files([policy]))
        took = least(
            3,
            {
                "reading alone": seconds(partial(_read, changed, host)),
                "a plan of one change": seconds(partial(_plan, changed, host)),
                "reading alone, no live table": seconds(partial(_read, changed, untouched)),
                "the first plan": seconds(partial(_plan, changed, untouched)),
            },
        )
    group = f"plans, {name}"
    for step, yardstick, limit in (
        ("reading alone", "reading alone", None),
        ("a plan of one change", "reading alone", READING_LIMIT),
        ("reading alone, no live table", "reading alone, no live table", None),
        ("the first plan", "reading alone, no live table", None),
    ):
        yield Measurement(group, step, 1000 * took[step], "ms", took[step] / took[yardstick], limit)


def _read(policy: Path, host: Namespace) -> tuple[Policy, Table | None]:
    return load_files([policy]), host_of(host).read()


def _plan(policy: Path, host: Namespace) -> None:
    wanted, live = _read(policy, host)
    plan = plan_policy(NFTABLES, wanted, live)
    assert plan, "a plan with nothing to do measures something else"
    assert not plan.traffic.is_too_large
    assert list(plan_lines(plan))


def _services(directory: Path) -> Path:
    """Services with a port and clients of their own."""
    entries = "".join(
        f"  - {{name: service-{at}, host-service: udp/{10_000 + at}, peers: 11.{at >> 8}.{at & 255}.0/24}}\n"
        for at in range(10_000)
    )
    path = directory / "services.yaml"
    path.write_text(f"{HEADER}bypass:\n{entries}")
    return path


_CHANGES: Final = {
    "entries": lambda text: text.replace("ports: udp/35000", "ports: udp/35001"),
    "services": lambda text: text.replace("peers: 11.19.136.0/24", "peers: 11.200.0.0/24"),
    "peers": lambda text: text.replace("nodes.txt", "changed-nodes.txt"),
}
"""One port, the clients of one service, one prefix."""


if __name__ == "__main__":
    show(measure_plans())
