"""What the live rules are like: what they have counted, whether they are in force, and whether they have drifted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ctpolicy.metrics.metric import Metric, Sample, counter, gauge
from ctpolicy.netfilter.drift import DriftKind
from ctpolicy.plan.status import Status

_ENTRY = ("entry", "role", "backend")


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """One backend on one host.

    Args:
        status: what it has there.
        is_desired: whether it ought to have anything there; None if that is not known.
    """

    status: Status
    is_desired: bool | None


def rules_metrics(backends: Sequence[BackendStatus]) -> Iterator[Metric]:
    """What is live of each backend, whatever ought to be."""
    found = [one.status for one in backends]
    yield counter(
        "entry_packets_total",
        "Packets that the rules of a policy entry have counted since they were made.",
        _ENTRY,
        (Sample((each.name, each.role, one.backend), each.packets) for one in found for each in one.entries),
    )
    yield counter(
        "entry_bytes_total",
        "Bytes of the packets that the rules of a policy entry have counted since they were made.",
        _ENTRY,
        (Sample((each.name, each.role, one.backend), each.bytes) for one in found for each in one.entries),
    )
    yield gauge(
        "bypass_in_force",
        "Whether packets are bypassed as the live rules say (1), or these are not there or do not do their work (0).",
        ("backend",),
        (Sample((one.backend,), one.in_force) for one in found),
    )


def drift_metrics(backends: Sequence[BackendStatus]) -> Iterator[Metric]:
    """What is live of each backend, held against what ought to be. Where that is not known, there is no sample."""
    held = [one for one in backends if one.is_desired is not None]
    yield gauge(
        "bypass_desired",
        "Whether there ought to be rules: the policy, or what was last confirmed here, has any.",
        ("backend",),
        (Sample((one.status.backend,), bool(one.is_desired)) for one in held),
    )
    yield gauge(
        "drift",
        "Whether the live rules differ from the policy, or from what was last confirmed here.",
        ("backend",),
        (Sample((one.status.backend,), bool(one.status.drifted)) for one in held),
    )
    yield gauge(
        "drift_differences",
        "Objects that differ, by what was done to them; `shadowed`: others' rules decide about packets first.",
        ("backend", "kind"),
        (sample for one in held for sample in _differences(one.status)),
    )


def _differences(found: Status) -> Iterator[Sample]:
    """Of every kind, those that are none too: what is missing cannot be told from what is well."""
    by_kind = Counter(one.kind for one in found.differences)
    return (Sample((found.backend, kind.value), by_kind[kind]) for kind in DriftKind)
