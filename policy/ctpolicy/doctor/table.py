"""Findings about the conntrack table: how full it is, and what that has cost since boot.

When a new flow comes to a full table, the kernel takes an entry that nobody has answered, or that is not assured, out
of the eight buckets from the flow's own on. So a table that unanswered entries have filled drops nothing at first:
each new flow costs others theirs (early drops), also those that wait for an answer. When most entries are assured,
such as established connections, the kernel finds none, and the packet is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ctpolicy.conntrack.facts import Statistics, TableFacts
from ctpolicy.doctor.facts import Facts, Log, Unseen
from ctpolicy.doctor.finding import Area, Finding, Severity
from ctpolicy.doctor.kernel_log import TableFull, table_full
from ctpolicy.doctor.settings import sysctl_of_host

_NEARLY_FULL: Final = 0.95
_FILLING: Final = 0.8
_RECENTLY: Final = 3600
_MOST_NUMBERS: Final = 4
_ADVISE: Final = "See what fills it and what may bypass it; a larger table takes more memory."


def table_findings(facts: Facts) -> Iterator[Finding]:
    """How the table is, by its size, its statistics and the kernel's log."""
    table = facts.table
    if isinstance(table, Unseen):
        yield Finding("table-fill", Area.TABLE, Severity.UNKNOWN, f"The conntrack table was not seen: {table.why}")
    elif not table.is_loaded:
        message = "conntrack is not in this kernel, or not loaded: nothing is tracked, and there is nothing to bypass."
        yield Finding("table-fill", Area.TABLE, Severity.FINE, message)
    else:
        yield _fill(table, facts)
        yield from _lost(table, facts)
    yield _logged(facts)


def _fill(table: TableFacts, facts: Facts) -> Finding:
    if table.fill is None:
        message = f"How full the table is cannot be told: entries {table.entries}, maximum {table.maximum}."
        return Finding("table-fill", Area.TABLE, Severity.UNKNOWN, message)
    message = f"The table is {table.fill:.1%} full: {table.entries} of {table.maximum} entries."
    if table.fill < _FILLING:
        return Finding("table-fill", Area.TABLE, Severity.FINE, message)
    severity = Severity.FAULT if table.fill >= _NEARLY_FULL else Severity.WARNING
    larger = 2 * (table.maximum or 0)
    commands = (
        *_look(facts),
        f"ctpolicy drain --dry-run{facts.where}",
        f"{sysctl_of_host('max', larger)}  # up to {table.memory(larger) >> 20} MiB in use",
    )
    return Finding("table-fill", Area.TABLE, severity, message, _ADVISE, commands)


def _look(facts: Facts) -> tuple[str, ...]:
    return f"ctpolicy conntrack stats{facts.where}", f"ctpolicy advise{facts.where}"


def _lost(table: TableFacts, facts: Facts) -> Iterator[Finding]:
    counted = table.statistics
    if counted is None:
        message = "What was dropped and not inserted since boot was not seen."
        yield Finding("table-drops", Area.TABLE, Severity.UNKNOWN, message)
        return
    if counted.drop or counted.early_drop:
        yield _dropped(counted, facts)
    if counted.insert_failed or counted.chain_too_long:
        yield _not_inserted(counted)
    if not (counted.drop or counted.early_drop or counted.insert_failed or counted.chain_too_long):
        message = "Nothing was dropped, taken out early, or failed to be inserted since boot."
        yield Finding("table-drops", Area.TABLE, Severity.FINE, message)


def _dropped(counted: Statistics, facts: Facts) -> Finding:
    message = (
        f"Because the table was full, {counted.drop} packets were dropped and {counted.early_drop} entries taken out "
        "early since boot. Such an entry's answer, if it comes, is of no flow that conntrack knows."
    )
    return Finding("table-drops", Area.TABLE, Severity.WARNING, message, _ADVISE, _look(facts))


def _not_inserted(counted: Statistics) -> Finding:
    message = (
        f"{counted.insert_failed} entries could not be inserted, {counted.chain_too_long} because their bucket had too "
        "many: their packets were dropped. Mostly two packets of one new flow came at once, as two "
        "questions of a resolver from one port."
    )
    advice = "For DNS, a bypass of udp/53 has it go away."
    return Finding("table-inserts", Area.TABLE, Severity.WARNING, message, advice)


def _logged(facts: Facts) -> Finding:
    if isinstance(facts.log, Unseen):
        message = f"The kernel's log was not seen: {facts.log.why}."
        commands = ("sudo dmesg --ctime | grep 'table full'",)
        return Finding("log-table-full", Area.TABLE, Severity.UNKNOWN, message, commands=commands)
    full = table_full(facts.log.lines)
    if full is None:
        message = f"{_in_words(facts.log)} does not speak of a full table."
        return Finding("log-table-full", Area.TABLE, Severity.FINE, message)
    message = f"{_in_words(facts.log)} says {_times(full)} that the table was full{_when(full)}.{_which(full, facts)}"
    severity = Severity.FAULT if _lasts(full, facts) else Severity.WARNING
    return Finding("log-table-full", Area.TABLE, severity, message, _ADVISE, _look(facts))


def _in_words(log: Log) -> str:
    return log.source[0].upper() + log.source[1:]


def _times(full: TableFull) -> str:
    times = "once" if full.times == 1 else f"{full.times} times"
    return times + (f" (and kept back {full.suppressed} lines, of this or other things)" if full.suppressed else "")


def _when(full: TableFull) -> str:
    first, last = (datetime.fromtimestamp(when, UTC).isoformat(" ", "seconds") for when in (full.first, full.last))
    return f", on {first}" if full.times == 1 else f", first on {first}, last on {last}"


def _lasts(full: TableFull, facts: Facts) -> bool:
    """Whether it was lately, of this network namespace as far as is known, and has not become better since."""
    table = facts.table
    is_better = not isinstance(table, Unseen) and table.fill is not None and table.fill < _FILLING
    is_ours = not full.namespaces or facts.number in full.namespaces
    return facts.now - full.last < _RECENTLY and is_ours and not is_better


def _which(full: TableFull, facts: Facts) -> str:
    if not full.namespaces:
        return " It does not say in which network namespace."
    others = sorted(full.namespaces - {facts.number})
    more = f" and {len(others) - _MOST_NUMBERS} more" if len(others) > _MOST_NUMBERS else ""
    ours = "this one" if facts.number in full.namespaces else ""
    listed = ", ".join(map(str, others[:_MOST_NUMBERS]))
    numbered = f"number {listed}{more} (`lsns -t net` shows those that are there)" if others else ""
    return f" That was in network namespace {' and '.join(filter(None, (ours, numbered)))}."
