"""What is asked of a host for its metrics: its rules, what they are held against, its state, its conntrack table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ctpolicy.apply.protocol import own_of
from ctpolicy.apply.snapshot import Snapshot
from ctpolicy.cli.host import BACKENDS, backend_named, fitting, read_live, state_of
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.errors import CtpolicyError, HostError
from ctpolicy.language.load import load_files
from ctpolicy.metrics.gathering import Failure, Source, Told
from ctpolicy.metrics.of_changes import changes_metrics
from ctpolicy.metrics.of_conntrack import table_metrics
from ctpolicy.metrics.of_rules import BackendStatus, drift_metrics, rules_metrics
from ctpolicy.namespaces import namespace_path
from ctpolicy.netfilter.backend import Backend
from ctpolicy.plan.live import Live
from ctpolicy.plan.status import UNTOLD, Desired, Standard, status

RULES: Final = "rules"
DRIFT: Final = "drift"
OTHERS: Final = "others"
CHANGES: Final = "changes"
TABLE: Final = "conntrack"
STATISTICS: Final = "statistics"
PARTS: Final = (RULES, DRIFT, OTHERS, CHANGES, TABLE, STATISTICS)
"""What may fail each by itself; the label `part` of ctpolicy_scrape_error."""


class HostMetrics:
    """One host, or one network namespace.

    Args:
        policies: files of what ought to be live; none for what was last confirmed.
        netns: the namespace's name or path.
        backend: by its name; None for all that have something there, or ought to.
        with_sets: whether ipsets may be used.
        root: where the state is, if not in its usual place.
    """

    def __init__(
        self, policies: Sequence[Path], netns: str | None, backend: str | None, with_sets: bool, root: Path | None
    ) -> None:
        self._policies = policies
        self._netns = netns
        self._backend = backend
        self._with_sets = with_sets
        self._root = root

    def sources(self) -> Mapping[str, Source]:
        """What has to be asked, by the part that fails with it."""
        return {RULES: self._rules, CHANGES: self._changes, TABLE: self._table}

    def _rules(self) -> Iterator[Told]:
        """Rules and drift, which take one reading of the host."""
        live = read_live(self._netns, backend=backend_named(self._backend, self._with_sets))
        yield from (Failure(OTHERS, HostError(f"Not read: {reason}.")) for reason in live.unread)
        found: list[BackendStatus] = []
        for backend in self._backends(live):
            try:
                for told in self._status(fitting(backend, live), live):
                    if isinstance(told, BackendStatus):
                        found.append(told)
                    else:
                        yield told
            except CtpolicyError as error:
                yield Failure(RULES, error)
        yield from rules_metrics(found)
        yield from drift_metrics(found)

    def _status(self, backend: Backend[Any], live: Live) -> Iterator[BackendStatus | Failure]:
        backend.refuse_foreign(live.own(backend))
        desired: Desired[Any] | None = None
        try:
            desired = self._desired(backend)
        except CtpolicyError as error:
            yield Failure(DRIFT, error)
        found = status(backend, live, desired)
        if UNTOLD in found.notes:
            yield Failure(OTHERS, HostError(f"It is not known {UNTOLD}."))
        yield BackendStatus(found, None if desired is None else desired.own is not None)

    def _backends(self, live: Live) -> Sequence[Backend[Any]]:
        """The one that was asked for; else those that have something there or ought to, and the default if none."""
        if self._backend is not None:
            return (backend_named(self._backend, self._with_sets),)
        every = [backend_named(name, self._with_sets) for name in BACKENDS]
        return [one for one in every if live.own(one) is not None or self._is_confirmed(one)] or every[:1]

    def _is_confirmed(self, backend: Backend[Any]) -> bool:
        try:
            kept = self._confirmed(backend)
        except CtpolicyError:
            return False  # told as a failure of the drift, of each backend that is looked at
        return kept is not None and kept.own is not None

    def _desired(self, backend: Backend[Any]) -> Desired[Any] | None:
        if self._policies:
            return Desired(backend.compile(load_files(self._policies)))
        kept = self._confirmed(backend)
        return None if kept is None else Desired(own_of(backend, kept), Standard.CONFIRMED)

    def _confirmed(self, backend: Backend[Any]) -> Snapshot | None:
        return state_of(self._netns, self._root).confirmed(backend.name)

    def _changes(self) -> Iterator[Told]:
        remembered = state_of(self._netns, self._root)
        yield from changes_metrics(remembered.changes(), remembered.clock.boot())

    def _table(self) -> Iterator[Told]:
        facts = KernelFacts(namespace_path(self._netns) if self._netns else None).facts()
        if facts.is_loaded and None in {facts.entries, facts.maximum}:
            yield Failure(TABLE, HostError("This kernel does not tell how many entries there are, or may be."))
        if facts.is_loaded and facts.statistics is None:
            yield Failure(STATISTICS, HostError("This kernel does not tell what conntrack has counted."))
        yield from table_metrics(facts)
