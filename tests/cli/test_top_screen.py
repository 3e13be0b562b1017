"""The live view drawn on terminals of any size, in memory."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from conntrack.test_top import FACTS, FIRST, SECOND
from ctpolicy.cli.top_screen import draw, rows_that_fit
from ctpolicy.conntrack.top import Reading, View, view
from ctpolicy.netfilter.backend import Counted


def drawn(shown: View | None, width: int, height: int, *, title: str = "top") -> str:
    """What is written to a terminal, escapes among it."""
    written = StringIO()
    on = Console(
        file=written, width=width, height=height, force_terminal=True, highlight=False, markup=False, emoji=False
    )
    draw(on, shown, title)
    return written.getvalue()


def screen(shown: View | None, width: int = 80, height: int = 24) -> list[str]:
    """The lines that a person sees."""
    written = StringIO()
    on = Console(file=written, width=width, height=height, color_system=None, markup=False, highlight=False)
    draw(on, shown, "top")
    return [line.rstrip() for line in written.getvalue().replace("\x1b[H", "").split("\n")]


def test_all_is_shown_where_there_is_room() -> None:
    assert screen(view(FIRST, SECOND), height=16) == [
        "top",
        "5 of 100 entries, 5.0%",
        "[####..........................................................................]",
        "new/s 1   drops/s 10   early drops/s 0   insert failures/s 0",
        "",
        "policy entry  role    packets/s  bytes/s",
        "dns           bypass        100    5,000",
        "vxlan         bypass          5      500",
        "ssh           track           0        0",
        "",
        "source     entries  share",
        "192.0.2.1        4  80.0%",
        "192.0.2.9        1  20.0%",
        "q quits",
        "",
        "",
    ]


def test_before_the_first_reading_it_says_so() -> None:
    assert screen(None, height=3) == ["top", "reading the table ...", ""]


@pytest.mark.parametrize("width", [1, 2, 7, 20, 40, 79, 200])
@pytest.mark.parametrize("height", [1, 2, 5, 9, 24, 70])
def test_it_fits_on_every_screen(width: int, height: int) -> None:
    lines = screen(view(FIRST, SECOND), width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width


def test_the_last_line_says_how_to_quit_also_where_the_rates_take_several() -> None:
    lines = [line for line in screen(view(FIRST, SECOND), 30, 12) if line]
    assert lines[-1] == "q quits"
    assert "source     entries  share" in lines


def test_numbers_are_not_cut_before_names() -> None:
    long = Counted("a-name-of-forty-characters-for-some-entry", "bypass", 1_234_567, 1)
    lines = screen(view(replace(FIRST, counted=(replace(long, packets=0),)), replace(SECOND, counted=(long,))), 40)
    (row,) = [line for line in lines if line.startswith("a-name-of")]
    assert "617.3k" in row


@pytest.mark.parametrize(
    ("height", "got"), [(0, (0, 0)), (2, (0, 0)), (3, (1, 0)), (6, (1, 1)), (7, (2, 1)), (8, (2, 2)), (99, (5, 9))]
)
def test_tables_share_the_rows_that_there_are(height: int, got: tuple[int, int]) -> None:
    assert rows_that_fit(height, 5, 9) == got


def test_a_table_of_nothing_takes_no_room() -> None:
    assert rows_that_fit(4, 0, 9) == (0, 2)


def test_what_comes_from_the_host_cannot_draw() -> None:
    """A rule of somebody's among ours may carry any name."""
    evil = Counted("\x1b[2Jgone[red]", "bypass", 1, 1)
    shown = drawn(view(None, Reading(1.0, FACTS, counted=(evil,))), 80, 20)
    assert "\x1b[2J" not in shown
    assert "gone[red]" in shown


def test_drops_are_seen_from_afar() -> None:
    bold_red_ten = "\x1b[1;31m10"
    assert bold_red_ten in drawn(view(FIRST, SECOND), 80, 20)
    assert "\x1b[1;31m" not in drawn(view(FIRST, replace(SECOND, facts=FACTS)), 80, 20)
