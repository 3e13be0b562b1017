"""What is live, in the words of the policy: entries with their counters, whether the bypass is in force, and drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import Any, Final, Generic, TypeVar

from ctpolicy.netfilter.backend import Backend, Counted
from ctpolicy.netfilter.drift import BY_APPLY, Drift, DriftKind
from ctpolicy.plan.live import Live
from ctpolicy.plan.shadowing import shadowed

Own = TypeVar("Own")

MOST_DRIFTS: Final = 12
"""Differences of one kind that are shown; of more, the number."""

UNTOLD: Final = "whether others' rules decide first is not told: they are about too many different packets"


class Standard(Enum):
    """What is live is held against; the value is the name of it."""

    POLICY = "the policy"
    CONFIRMED = "what was last confirmed"


@dataclass(frozen=True, slots=True)
class Desired(Generic[Own]):
    """What ought to be live.

    Args:
        own: of the backend; None for nothing.
        standard: where it comes from.
    """

    own: Own | None
    standard: Standard = Standard.POLICY


@dataclass(frozen=True, slots=True)
class Status:
    """What is live.

    Args:
        backend: by its name.
        entries: by role and name.
        faults: why the bypass is not, or not wholly, in force; empty if it is.
        standard: what is live is held against; None if nothing.
        differences: what was done to what is live of ours; then what others' rules keep from ours.
        notes: what else there is to know about the host.
    """

    backend: str
    entries: tuple[Counted, ...]
    faults: tuple[str, ...]
    standard: Standard | None = None
    differences: tuple[Drift, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def in_force(self) -> bool:
        """Whether packets are bypassed as the live entries say."""
        return not self.faults

    @property
    def own_differences(self) -> tuple[Drift, ...]:
        """What was done to ours, and an apply would do something about."""
        return tuple(one for one in self.differences if one.kind is not DriftKind.SHADOWED)

    @property
    def shadows(self) -> tuple[Drift, ...]:
        """What others' rules keep from ours."""
        return tuple(one for one in self.differences if one.kind is DriftKind.SHADOWED)

    @property
    def drifted(self) -> bool | None:
        """Whether what is live of ours is other than it ought to be; None if it is held against nothing."""
        return None if self.standard is None else bool(self.own_differences)


def status(backend: Backend[Own], live: Live, desired: Desired[Own] | None = None) -> Status:
    """What is live, held against what ought to be if that is known."""
    own = live.own(backend)
    done = () if desired is None else tuple(backend.drifts(own, desired.own))
    shadows = shadowed(backend, own if desired is None else desired.own, live)
    notes = (*live.notes(), *([UNTOLD] if shadows is None else []))
    return Status(
        backend.name,
        tuple(backend.counted(own)),
        tuple(backend.faults(own)),
        None if desired is None else desired.standard,
        (*done, *(shadows or ())),
        notes,
    )


def status_lines(found: Status) -> Iterator[str]:
    """The status as people read it."""
    yield "bypass in force" if found.in_force else "bypass NOT in force"
    yield from (f"  {fault}" for fault in found.faults)
    if found.standard is not None and not found.drifted:
        yield f"no drift from {found.standard.value}"
    elif found.standard is not None:
        yield f"what is live differs from {found.standard.value}"
        yield from _drift_lines(found.own_differences)
        if any(one.remedy == BY_APPLY for one in found.own_differences):
            yield f"  {BY_APPLY}" + (": see `ctpolicy plan`" if found.standard is Standard.POLICY else "")
    if found.shadows:
        yield "others' rules decide about packets that ours bypass"
        yield from _shadow_lines(found.shadows)
    yield from found.notes
    yield from _entry_lines(found.entries)


def _drift_lines(drifts: Iterable[Drift]) -> Iterator[str]:
    shown: Counter[DriftKind] = Counter()
    for one in drifts:
        shown[one.kind] += 1
        if shown[one.kind] <= MOST_DRIFTS:
            yield f"  {one.kind.value:<10}  {one.object}"
            yield from (f"      missing  {line}" for line in one.missing)
            yield from (f"      found    {line}" for line in one.found)
            if one.more:
                yield f"      ... and {one.more:,} more"
            if one.remedy != BY_APPLY:
                yield f"      {one.remedy}"
    for kind, count in shown.items():
        if count > MOST_DRIFTS:
            yield f"  ... and {count - MOST_DRIFTS:,} more that are {kind.value}"


def _shadow_lines(shadows: tuple[Drift, ...]) -> Iterator[str]:
    """By the rule that decides, and then what it decides about."""
    for (place, found, remedy), alike in groupby(
        shadows[:MOST_DRIFTS], key=lambda one: (one.object, one.found, one.remedy)
    ):
        yield f"  {DriftKind.SHADOWED.value:<10}  by {place}"
        yield from (f"      found    {line}" for line in found)
        for one in alike:
            yield f"      {one.packets}{'' if one.is_certain else '  (possibly)'}"
            yield f"        such as {one.witness}"
        yield f"      {remedy}"
    if len(shadows) > MOST_DRIFTS:
        yield f"  ... and {len(shadows) - MOST_DRIFTS:,} more"


def _entry_lines(entries: tuple[Counted, ...]) -> Iterator[str]:
    if entries:
        width = max(len(entry.name) for entry in entries)
        yield ""
        yield f"{'entry':<{width}}  role    {'packets':>12}  {'bytes':>15}"
        for entry in entries:
            yield f"{entry.name:<{width}}  {entry.role:<6}  {entry.packets:>12}  {entry.bytes:>15}"


def status_json(found: Status) -> dict[str, Any]:
    """The status as one object, by schemas/status-v1.schema.json."""
    return {
        "apiVersion": "ctpolicy.status/v1",
        "backend": found.backend,
        "inForce": found.in_force,
        "faults": list(found.faults),
        "comparedWith": found.standard and found.standard.name.lower(),
        "drift": found.drifted,
        "differences": [_drift_json(one) for one in found.differences],
        "notes": list(found.notes),
        "entries": [
            {"name": entry.name, "role": entry.role, "packets": entry.packets, "bytes": entry.bytes}
            for entry in found.entries
        ],
    }


def _drift_json(one: Drift) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "object": one.object,
        "missing": list(one.missing),
        "found": list(one.found),
        "more": one.more,
        "packets": one.packets or None,
        "witness": None if one.witness is None else str(one.witness),
        "certain": one.is_certain,
        "remedy": one.remedy,
    }
