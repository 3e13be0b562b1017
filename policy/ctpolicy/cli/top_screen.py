"""The live view of the conntrack table, drawn on a terminal of whatever size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.control import Control
from rich.screen import Screen
from rich.table import Table
from rich.text import Text

from ctpolicy.cli.terminal import keys_as_they_are_pressed
from ctpolicy.conntrack.top import View
from ctpolicy.conntrack.top_report import (
    ENTRY_TITLES,
    NEW,
    TALKER_TITLES,
    UNKNOWN,
    bar,
    entry_cells,
    failure_lines,
    fill_text,
    more_line,
    rates,
    talker_cells,
)
from ctpolicy.language.diagnostics import harmless

_FILL_STYLES: Final = ((0.9, "bold red"), (0.75, "yellow"), (0.0, "green"))
"""From which fill on which; the alerts of examples/metrics begin where these do."""

_BETWEEN: Final = "   "

_AROUND_A_TABLE: Final = 2
"""Rows: one between it and what comes before, one for its titles."""


def console() -> Console:
    """The terminal. Names on it are text, and never markup."""
    return Console(highlight=False, markup=False, emoji=False)


def is_for_drawing(has_keys: bool) -> bool:
    """Whether there is a terminal that can be drawn on, with somebody at it."""
    there = console()
    return has_keys and there.is_terminal and not there.is_dumb_terminal


@contextmanager
def drawing(on: Console) -> Iterator[None]:
    """Use the whole terminal; afterwards it shows what it showed before, and takes keys as before."""
    with keys_as_they_are_pressed(), on.screen(hide_cursor=True):
        yield


def draw(on: Console, view: View | None, title: str) -> None:
    """Draw what there is; nothing yet if that is None."""
    width, height = on.size
    parts = [
        _line(title, "bold"),
        *([_line("reading the table ...", "")] if view is None else _parts(view, width, height)),
    ]
    # Home first: a terminal scrolls if a line too much is written, as while its size changes.
    on.control(Control.home())
    on.print(Screen(*parts), end="")


def _parts(view: View, width: int, height: int) -> Iterator[RenderableType]:
    head = [*_head(view, width), _line("q quits", "dim")]
    yield from head[:-1]
    talkers, entries = rows_that_fit(height - 1 - len(head), len(view.talkers), len(view.entries))
    if entries:
        yield _table(ENTRY_TITLES, map(entry_cells, view.entries[:entries]), 2)
    if talkers:
        yield _table(TALKER_TITLES, map(talker_cells, view.talkers[:talkers]), 1)
    yield head[-1]


def rows_that_fit(height: int, *wanted: int) -> tuple[int, ...]:
    """How many rows of each table there is room for: each in turn gets one, until no room is left."""
    got = [0] * len(wanted)
    left = height
    while True:
        before = left
        for at, number in enumerate(wanted):
            cost = 1 if got[at] else 1 + _AROUND_A_TABLE
            if got[at] < number and cost <= left:
                got[at] += 1
                left -= cost
        if left == before:
            return tuple(got)


def _head(view: View, width: int) -> Iterator[Text]:
    yield _line(fill_text(view.facts), "")
    if view.facts.fill is not None:
        style = next(style for least, style in _FILL_STYLES if view.facts.fill >= least)
        yield _line(f"[{bar(view.facts.fill, max(width - 2, 1))}]", style)
    yield from _rate_lines(view, width)
    yield from (_line(failure, "red") for failure in failure_lines(view))
    if view.more_entries:
        yield _line(more_line(view), "dim")


def _rate_lines(view: View, width: int) -> Iterator[Text]:
    """The rates, as many on a line as there is room for; that something is dropped or refused is seen from afar."""
    line = _line("", "")
    for name, value in rates(view):
        room = len(name) + 1 + len(value)
        if line and len(line) + len(_BETWEEN) + room > width:
            yield line
            line = _line("", "")
        style = "bold red" if name != NEW and value not in {"0", UNKNOWN} else "bold"
        line.append(f"{_BETWEEN if line else ''}{name} ").append(value, style)
    yield line


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]], left: int) -> Table:
    """Rows under each other, the first columns to the left; where there is no room, the first is cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=" ", title_style="")
    for at, title in enumerate(titles):
        # What may wrap gives way first, and the cells themselves do not wrap.
        table.add_column(_line(title, "bold"), justify="left" if at < left else "right", no_wrap=at > 0)
    for row in rows:
        table.add_row(*(_line(cell, "") for cell in row))
    return table


def _line(text: str, style: str) -> Text:
    return Text(harmless(text), style, no_wrap=True, overflow="crop")
