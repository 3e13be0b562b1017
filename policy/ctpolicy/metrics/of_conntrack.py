"""How full the conntrack table is, and what it has counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.metrics.metric import Metric, counter, gauge, one

COUNTED: Final[Mapping[str, tuple[str, str]]] = {
    "found": ("found_total", "Lookups for a new entry's tuple that found another in its place."),
    "invalid": ("invalid_packets_total", "Packets that are of no flow and cannot begin one."),
    "insert": ("inserts_total", "Entries that were put in by hand, or by synchronisation."),
    "insert_failed": ("insert_failures_total", "Entries that were not put in, because one with their tuple was there."),
    "drop": ("drops_total", "Packets that were dropped because the table was full, or no memory was left."),
    "early_drop": ("early_drops_total", "Entries that had to go before their time, because the table was full."),
    "error": ("error_packets_total", "Packets, of ICMP and others, that are malformed."),
    "search_restart": ("search_restarts_total", "Lookups that began anew, because the table was growing."),
    "clash_resolve": ("clashes_resolved_total", "Entries that two packets made at once, and that were made one."),
    "chain_too_long": ("chains_too_long_total", "Entries that were not put in, because their bucket had too many."),
}
"""For each field of Statistics the metric's name, after `ctpolicy_conntrack_`, and its help."""


def table_metrics(facts: TableFacts) -> Iterator[Metric]:
    """Metrics of one network namespace's table. What the kernel does not tell has no metric."""
    yield gauge("conntrack_loaded", "Whether conntrack is in this kernel.", (), one(facts.is_loaded))
    sizes = (
        ("entries", "Entries of the conntrack table.", facts.entries),
        ("entries_limit", "Entries that there may be; 0 for any number.", facts.maximum),
        ("buckets", "Buckets of the hash table, which all network namespaces share.", facts.buckets),
    )
    for name, help_, value in sizes:
        if value is not None:
            yield gauge(f"conntrack_{name}", help_, (), one(value))
    if facts.statistics is not None:
        yield from _counted(facts.statistics)


def _counted(statistics: Statistics) -> Iterator[Metric]:
    for field, (name, help_) in COUNTED.items():
        yield counter(
            f"conntrack_{name}", f"{help_} Since boot, of all processors.", (), one(getattr(statistics, field))
        )
