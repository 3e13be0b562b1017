"""What is live, in the words of the policy: entries with their counters, and whether the bypass is in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ctpolicy.netfilter.backend import Backend, Counted
from ctpolicy.plan.plan import Plan

Own = TypeVar("Own")


@dataclass(frozen=True, slots=True)
class Status:
    """What is live.

    Args:
        backend: by its name.
        entries: by role and name.
        faults: why the bypass is not, or not wholly, in force; empty if it is.
        drifted: whether what is live is other than what the policy means; None if no policy was given.
    """

    backend: str
    entries: tuple[Counted, ...]
    faults: tuple[str, ...]
    drifted: bool | None = None

    @property
    def in_force(self) -> bool:
        """Whether packets are bypassed as the live entries say."""
        return not self.faults


def status(backend: Backend[Own], live: Own | None, plan: Plan[Own] | None = None) -> Status:
    """What is live, held against a plan for the policy if there is one."""
    drifted = None if plan is None else bool(plan)
    return Status(backend.name, tuple(backend.counted(live)), tuple(backend.faults(live)), drifted)


def status_lines(found: Status) -> Iterator[str]:
    """The status as people read it."""
    yield "bypass in force" if found.in_force else "bypass NOT in force"
    yield from (f"  {fault}" for fault in found.faults)
    if found.drifted is not None:
        yield (
            "what is live differs from the policy: see `ctpolicy plan`" if found.drifted else "no drift from the policy"
        )
    if found.entries:
        width = max(len(entry.name) for entry in found.entries)
        yield ""
        yield f"{'entry':<{width}}  role    {'packets':>12}  {'bytes':>15}"
        for entry in found.entries:
            yield f"{entry.name:<{width}}  {entry.role:<6}  {entry.packets:>12}  {entry.bytes:>15}"


def status_json(found: Status) -> dict[str, Any]:
    """The status as one object, by schemas/status-v1.schema.json."""
    return {
        "apiVersion": "ctpolicy.status/v1",
        "backend": found.backend,
        "inForce": found.in_force,
        "faults": list(found.faults),
        "drift": found.drifted,
        "entries": [
            {"name": entry.name, "role": entry.role, "packets": entry.packets, "bytes": entry.bytes}
            for entry in found.entries
        ],
    }
