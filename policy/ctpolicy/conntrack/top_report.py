"""What `ctpolicy conntrack top` shows, as plain lines, and as the words and numbers that a screen shows too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ctpolicy.conntrack.facts import TableFacts
from ctpolicy.conntrack.top import EntryRate, Talker, View

BAR: Final = 30
UNKNOWN: Final = "?"
NEW: Final = "new/s"
TALKER_TITLES: Final = ("source", "entries", "share")
ENTRY_TITLES: Final = ("policy entry", "role", "packets/s", "bytes/s")

_UNITS: Final = ("", "k", "M", "G", "T", "P")
_THOUSAND: Final = 1000.0


def lines(view: View) -> Iterator[str]:
    """One block for each reading."""
    facts = view.facts
    yield fill_text(facts) + ("" if facts.fill is None else f"  [{bar(facts.fill, BAR)}]")
    yield "  ".join(f"{name} {value}" for name, value in rates(view))
    yield from failure_lines(view)
    if view.talkers:
        yield ""
        yield from _columns([TALKER_TITLES, *map(talker_cells, view.talkers)])
    if view.entries:
        yield ""
        yield from _columns([ENTRY_TITLES, *map(entry_cells, view.entries)], 2)
        if view.more_entries:
            yield more_line(view)


def fill_text(facts: TableFacts) -> str:
    """How full the table is."""
    if not facts.is_loaded:
        return "conntrack is not loaded: no rule uses it, and there are no entries"
    entries = UNKNOWN if facts.entries is None else f"{facts.entries:,}"
    if facts.fill is None:
        return f"{entries} entries" + ("" if facts.maximum is None else ", as many as there is memory for")
    return f"{entries} of {facts.maximum:,} entries, {facts.fill:.1%}"


def bar(fill: float, width: int) -> str:
    """How full something is, in so many characters. It is full only if nothing more fits, and empty likewise."""
    full = min(round(fill * width), width)
    if fill > 0 and full == 0:
        full = 1
    if fill < 1 and full == width:
        full -= 1
    return "#" * full + "." * (width - full)


def failure_lines(view: View) -> Iterator[str]:
    """What could not be read."""
    return (f"not read: {failure}" for failure in view.failures)


def more_line(view: View) -> str:
    """How many of the policy's entries are not shown."""
    return f"... and {view.more_entries:,} more policy entries, which count less"


def rates(view: View) -> tuple[tuple[str, str], ...]:
    """Each rate by its name."""
    counted = view.counted or {}
    about = "~" if view.sampled is not None else ""
    return (
        (NEW, UNKNOWN if view.new is None else about + number(view.new)),
        ("drops/s", number(counted.get("drop"))),
        ("early drops/s", number(counted.get("early_drop"))),
        ("insert failures/s", number(counted.get("insert_failed"))),
    )


def talker_cells(talker: Talker) -> tuple[str, str, str]:
    """One row of the top sources."""
    return str(talker.source), f"{talker.entries:,}", f"{talker.share:.1%}"


def entry_cells(rate: EntryRate) -> tuple[str, str, str, str]:
    """One row of the policy's entries."""
    return rate.name, rate.role, number(rate.packets), number(rate.bytes)


def number(value: float | None) -> str:
    """A rate in few characters: 0, 0.4, 37, 1,234, 56.7k."""
    if value is None:
        return UNKNOWN
    if value < 10:
        return f"{value:.1f}".removesuffix(".0")
    if value < 10 * _THOUSAND:
        return f"{value:,.0f}"
    unit = 0
    while value >= _THOUSAND - 0.05 and unit < len(_UNITS) - 1:
        value /= _THOUSAND
        unit += 1
    return f"{value:.1f}{_UNITS[unit]}"


def _columns(rows: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Rows under each other, the first columns to the left and the others, which are numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
