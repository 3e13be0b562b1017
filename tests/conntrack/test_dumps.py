"""Saved tables of every form are read, and what cannot be is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ctpolicy.conntrack import dumps
from ctpolicy.conntrack.dumps import MOST_FAULTS, Lines, read_entries
from ctpolicy.conntrack.frequent import Top
from ctpolicy.conntrack.statistics import Row, TableStatistics
from ctpolicy.conntrack.statistics_report import survey_json, survey_lines
from ctpolicy.conntrack.survey import survey_saved
from ctpolicy.language.diagnostics import harmless
from ctpolicy.language.schema import shipped_schema

DUMPS: Final = sorted((Path(__file__).parents[1] / "scenarios" / "conntrack").glob("*.txt"))
NAMES: Final = [dump.stem for dump in DUMPS]
LINES: Final = sorted({line for dump in DUMPS for line in dump.read_bytes().splitlines()})
ENTRY: Final = (
    b"ipv4     2 udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53 [UNREPLIED] "
    b"src=10.0.0.2 dst=10.0.0.1 sport=53 dport=1 mark=0 use=1"
)


def dump(name: str) -> bytes:
    return next(path for path in DUMPS if path.stem == name).read_bytes()


def read(text: bytes) -> tuple[list[Row], Lines]:
    lines = Lines()
    return [row for batch in read_entries(BytesIO(text), lines) for row in batch.rows], lines


def statistics(text: bytes) -> TableStatistics:
    return survey_saved(BytesIO(text), 10).entries


def test_there_are_dumps_of_many_forms() -> None:
    assert len(DUMPS) >= 12


@pytest.mark.parametrize("path", DUMPS, ids=NAMES)
def test_what_is_said_of_a_dump(path: Path, request: pytest.FixtureRequest) -> None:
    said = "".join(f"{harmless(line)}\n" for line in survey_lines(survey_saved(BytesIO(path.read_bytes()), 10)))
    expected = path.with_suffix(".report")
    if request.config.getoption("--regenerate"):
        expected.write_text(said)
    assert said == expected.read_text()


@pytest.mark.parametrize("path", DUMPS, ids=NAMES)
def test_what_programs_are_told_fits_the_schema(path: Path) -> None:
    told = json.loads(json.dumps(survey_json(survey_saved(BytesIO(path.read_bytes()), 10))))
    Draft202012Validator(shipped_schema("conntrack-stats")).validate(told)


@pytest.mark.parametrize("name", ["plain-1.4.7", "xml-1.4.7", "ids-1.4.7"])
def test_one_table_is_the_same_in_every_form(name: str) -> None:
    assert statistics(dump(name)) == statistics(dump("extended-1.4.7"))


def test_proc_spells_ipv6_otherwise_and_has_another_seventh_field_for_gre() -> None:
    told = statistics(dump("proc-6.18").replace(b"0000:0000:0000:0000:0000:0000:0000:0001", b"::1"))
    other = statistics(dump("extended-1.4.7"))
    assert replace(told, seventh_fields=Top()) == replace(other, seventh_fields=Top())
    assert ("180", 1) in told.seventh_fields.ranked or ("0", 1) in told.seventh_fields.ranked


def test_a_table_with_accounts_is_the_same_in_xml() -> None:
    assert statistics(dump("accounting-xml-1.4.7")) == statistics(dump("accounting-1.4.7"))
    assert statistics(dump("timestamps-1.4.7")) == statistics(dump("accounting-1.4.7"))


@pytest.mark.parametrize("name", [name for name in NAMES if "1.4.7" in name or "6.18" in name])
def test_every_line_that_a_tool_has_printed_is_read(name: str) -> None:
    rows, lines = read(dump(name))
    assert (lines.faulty, lines.faults) == (0, [])
    assert lines.read == len(rows) + lines.others


def test_a_line_that_cannot_be_read_is_told_by_its_number_in_whatever_block(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read(dump("cut-by-hand"))
    assert [fault.line for fault in whole[1].faults] == [18, 19, 20, 21, 22, 24]
    for size in (1, 7, 100, 163, 1000):
        monkeypatch.setattr(dumps, "BLOCK", size)
        rows, lines = read(dump("cut-by-hand"))
        assert (sorted(rows), lines) == (sorted(whole[0]), whole[1])


def test_every_cut_of_an_entry_is_told() -> None:
    # From after the number of the protocol on; but for the last word, which is `use=1` or what is longer.
    for end in range(len("ipv4     2 udp      17 "), len(ENTRY)):
        rows, lines = read(ENTRY[:end])
        assert (rows, lines.faulty) == ([], 1), ENTRY[:end]
        assert "cut or damaged" in lines.faults[0].reason
    assert len(read(ENTRY)[0]) == 1


def test_two_lines_are_never_taken_for_one() -> None:
    for cut in range(1, len(ENTRY)):
        rows, lines = read(ENTRY[:cut] + b"\n" + ENTRY[cut:] + b"\n")
        assert lines.read == 2
        assert not any(b"\n" in column for row in rows for column in row)


def test_only_so_many_faults_are_shown_and_all_are_counted() -> None:
    rows, lines = read(b"garbage\n" * 1000 + ENTRY + b"\n")
    assert (len(rows), lines.faulty, len(lines.faults), lines.read) == (1, 1000, MOST_FAULTS, 1001)


def test_a_line_without_end_takes_no_memory() -> None:
    endless = BytesIO(b"src=" * (1 << 20) + b"\n" + ENTRY + b"\n")
    lines = Lines()
    rows = [row for batch in read_entries(endless, lines) for row in batch.rows]
    assert (len(rows), lines.faulty, lines.read) == (1, 1, 2)
    assert len(lines.faults[0].text) < 200


def test_what_is_offloaded_is_counted_as_the_pipeline_counts_it() -> None:
    told = statistics(dump("offloaded-as-1.4.8-writes"))
    assert told.offloaded == 6
    assert ("-", 3) in told.tcp_states
    assert ("41000", 3) in told.seventh_fields.ranked


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(LINES)), max_size=20), st.integers(1, 400))
def test_no_input_is_a_crash_and_every_line_is_accounted_for(lines: Sequence[bytes], size: int) -> None:
    text = b"\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dumps, "BLOCK", size)
        rows, found = read(text)
    survey_json(survey_saved(BytesIO(text), 5))
    assert (
        len(rows) + found.faulty + found.others
        == found.read
        == text.count(b"\n") + (not text.endswith(b"\n") and text != b"")
    )


@given(st.sampled_from([line for line in LINES if b"src=" in line]), st.data())
def test_a_damaged_line_is_no_crash(line: bytes, data: st.DataObject) -> None:
    damaged = bytearray(line)
    for at in data.draw(st.lists(st.integers(0, len(line) - 1), max_size=4)):
        damaged[at] = data.draw(st.sampled_from(b"\0 =[]<>/0a\n\xff-"))
    list(survey_lines(survey_saved(BytesIO(bytes(damaged)), 5)))
