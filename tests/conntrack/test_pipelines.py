"""What operators' pipelines print of a table, `conntrack stats` says digit for digit."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conntrack.test_dumps import DUMPS
from ctpolicy.conntrack.statistics import TableStatistics
from ctpolicy.conntrack.survey import survey_saved

COUNT: Final = "wc -l"
BY_STATE: Final = "awk '/tcp/ {sum[$6]++} END {for (s in sum) print s, sum[s]}'"
SEVENTH: Final = "awk '{print $7}' | cut -d= -f2 | sort | uniq -c | sort -nr | head"
EXTENDED: Final = [
    path for path in DUMPS if path.read_bytes().startswith(b"ipv") and path.stem not in {"cut-by-hand", "garbage"}
]


def piped(pipeline: str, table: bytes) -> list[str]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(["sh", "-c", pipeline], input=table, env=environment, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def assert_the_same(told: TableStatistics, table: bytes) -> None:
    """Hold statistics against the pipelines' output."""
    assert [str(told.total.entries)] == [line.strip() for line in piped(COUNT, table)]
    states: Counter[str] = Counter()
    for line in piped(BY_STATE, table):
        state, number = line.split()
        states["-" if state.startswith("dst=") else state] += int(number)
    assert dict(told.tcp_states) == dict(states)
    assert [f"{one.entries:>7} {one.name}" for one in told.seventh_fields.ranked] == piped(SEVENTH, table)


@pytest.mark.parametrize("path", EXTENDED, ids=[path.stem for path in EXTENDED])
def test_a_saved_table(path: Path) -> None:
    table = path.read_bytes()
    assert_the_same(survey_saved(BytesIO(table), 10).entries, table)


@st.composite
def entries(draw: st.DrawFn) -> str:
    """A line of `conntrack -L -o extended`."""
    here, there = (f"10.0.0.{draw(st.integers(1, 5))}" for _ in range(2))
    answering = draw(st.sampled_from((there, there, there, "172.17.0.2")))
    kind = draw(st.sampled_from(("tcp", "tcp", "udp", "icmp", "sctp", "unknown", "offloaded")))
    ports = (draw(st.integers(1, 4)), draw(st.sampled_from((53, 80, 443))))
    head = {
        "tcp": f"tcp      6 100 {draw(st.sampled_from(('ESTABLISHED', 'TIME_WAIT', 'SYN_SENT')))}",
        "udp": "udp      17 20",
        "icmp": "icmp     1 20",
        "sctp": "sctp     132 20 ESTABLISHED",
        "unknown": "unknown  50 20",
        "offloaded": "tcp      6",
    }[kind]
    there_words, back_words = f"sport={ports[0]} dport={ports[1]} ", f"sport={ports[1]} dport={ports[0]} "
    if kind == "icmp":
        there_words, back_words = f"type=8 code=0 id={ports[0]} ", f"type=0 code=0 id={ports[0]} "
    elif kind == "unknown":
        there_words = back_words = ""
    answered = draw(st.sampled_from(("", "[UNREPLIED] ")))
    zone = draw(st.sampled_from(("", "", "zone=7 ")))
    return (
        f"ipv4     2 {head} src={here} dst={there} {there_words}{answered}src={answering} dst={here} {back_words}"
        f"mark=0 {zone}use=1\n"
    )


@settings(max_examples=25)
@given(st.lists(entries(), min_size=1, max_size=40))
def test_any_table(lines: list[str]) -> None:
    table = "".join(lines).encode()
    assert_the_same(survey_saved(BytesIO(table), 10).entries, table)


def test_where_all_have_a_state_the_seventh_field_is_the_source() -> None:
    assert survey_saved(BytesIO(b""), 10).entries.seventh_fields_are_sources
    only_tcp = b"".join(
        line
        for line in next(path for path in DUMPS if path.stem == "extended-1.4.7").read_bytes().splitlines(True)
        if b" tcp " in line
    )
    assert survey_saved(BytesIO(only_tcp), 10).entries.seventh_fields_are_sources


def test_on_a_mixed_table_it_is_not() -> None:
    mixed = next(path for path in DUMPS if path.stem == "old-kernel-as-1.4.4-writes").read_bytes()
    assert not survey_saved(BytesIO(mixed), 10).entries.seventh_fields_are_sources
