"""Taking the readings of `conntrack top`: what one of them cannot read does not keep the others from being shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ctpolicy.conntrack.facts import ConntrackFacts, TableFacts
from ctpolicy.conntrack.sample import take_sample
from ctpolicy.conntrack.table import ConntrackTable
from ctpolicy.conntrack.top import Reading
from ctpolicy.errors import CtpolicyError
from ctpolicy.netfilter.backend import Counted

Read = TypeVar("Read")


class Reader:
    """Reads one host, or one network namespace.

    Args:
        facts: of its table.
        table: the entries.
        counted: tells what each entry of the live policy has counted.
    """

    def __init__(self, facts: ConntrackFacts, table: ConntrackTable, counted: Callable[[], Iterable[Counted]]) -> None:
        self._facts = facts
        self._table = table
        self._counted = counted

    def read(self) -> Reading:
        """One reading."""
        failures: list[str] = []

        def or_none(read: Callable[[], Read]) -> Read | None:
            try:
                return read()
            except CtpolicyError as error:
                failures.append(str(error))
                return None

        counted = or_none(lambda: tuple(self._counted()))
        sample = or_none(lambda: take_sample(self._table))
        facts = or_none(self._facts.facts)
        # The time is that of the sample: what is counted before is counted as long before each time.
        return Reading(self._facts.seconds(), facts or TableFacts(True), sample, counted, tuple(failures))
