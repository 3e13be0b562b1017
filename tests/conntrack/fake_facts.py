"""Facts of a conntrack table that a test makes up, one after the other, and whose clock goes on by being waited for."""

from __future__ import annotations

from collections.abc import Sequence

from ctpolicy.conntrack.facts import TableFacts


class FakeFacts:
    """See facts.ConntrackFacts.

    Args:
        told: what is told at each time of asking; the last of them from then on.
    """

    def __init__(self, *told: TableFacts) -> None:
        self._told: Sequence[TableFacts] = told
        self._asked = 0
        self._now = 1000.0

    def facts(self) -> TableFacts:
        self._asked += 1
        return self._told[min(self._asked, len(self._told)) - 1]

    def seconds(self) -> float:
        return self._now

    def wait(self, seconds: float) -> None:
        self._now += seconds
