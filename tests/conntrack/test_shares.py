"""A large saved table that is read in shares is the same as if it were read as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conntrack.test_dumps import dump
from ctpolicy.conntrack import shares
from ctpolicy.conntrack.shares import read_shares
from ctpolicy.conntrack.statistics_report import survey_json
from ctpolicy.conntrack.survey import survey_saved, survey_shares


@pytest.fixture
def table(tmp_path: Path) -> Path:
    written = tmp_path / "table"
    written.write_bytes(
        dump("extended-1.4.7") * 20 + b"garbage\n" + dump("cut-by-hand") + b"\n" + dump("ids-1.4.7") * 30
    )
    return written


def as_a_whole(table: Path) -> object:
    with table.open("rb") as stream:
        return survey_json(survey_saved(stream, 10))


@pytest.mark.parametrize("processors", [1, 2, 4])
def test_shares_add_up_to_the_whole(table: Path, processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "SMALLEST", 1000)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(processors)))
    parts = read_shares(table)
    assert len(parts) == 2 * processors
    assert survey_json(survey_shares(parts, 10)) == as_a_whole(table)


def test_a_small_table_is_read_right_here(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "ProcessPoolExecutor", None)  # to make one would fail
    assert survey_json(survey_shares(read_shares(table), 10)) == as_a_whole(table)


def test_every_share_ends_with_a_line(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    for smallest in range(500, 3000, 137):
        monkeypatch.setattr(shares, "SMALLEST", smallest)
        with table.open("rb") as file:
            bounds = shares._bounds(file, table.stat().st_size)
        assert (bounds[0], bounds[-1]) == (0, table.stat().st_size)
        text = table.read_bytes()
        assert all(text[at - 1 : at] == b"\n" for at in bounds[1:-1])


def test_a_line_without_end_is_not_looked_for_in_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "SMALLEST", 1 << 17)
    endless = tmp_path / "endless"
    endless.write_bytes(b"x" * (1 << 20))
    (part,) = read_shares(endless)
    assert (part[0].entries, part[1].read, part[1].faulty) == (0, 1, 1)


def test_an_empty_file_has_no_entries(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    ((tally, lines),) = read_shares(tmp_path / "empty")
    assert (tally.entries, lines.read) == (0, 0)
