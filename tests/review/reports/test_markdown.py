"""The comment on a pull request: what a reviewer reads first comes first, and it fits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.diagnostics import harmless
from ctpolicy.review.reports.markdown import LONGEST_COMMENT, MARK, markdown_report
from ctpolicy.review.reports.markdown_text import LONGEST, code, prose, row
from ctpolicy.review.review import Change, Check, Level, Remark, Result, Subject
from review.any_reviews import HOSTILE
from review.reports.rendered import page, rendered
from review.reviews import (
    broken,
    changed,
    everything,
    large_change,
    mistaken,
    no_change,
    not_asked,
    passed,
    too_large,
    unread_base,
    waived,
)

MOVE_HEADS = ["", "Packets", "Size", "Entry", "Why", "Such as"]


def test_verdict_comes_first_after_the_mark_that_a_program_finds_the_comment_by() -> None:
    assert markdown_report(passed()).startswith(f"{MARK}\n## ctpolicy review: passed\n")
    assert markdown_report(broken()).startswith(f"{MARK}\n## ctpolicy review: not passed\n")
    assert "7 broken." in markdown_report(broken())


def test_what_is_compared_is_told() -> None:
    assert "compared with revision `1a2b3c4` (main)" in markdown_report(changed())
    assert "compared with" not in markdown_report(passed())


def test_the_change_is_a_table_for_each_risk_the_worst_first() -> None:
    read = page(markdown_report(changed()))
    headed = [text for text in read.plain if text in {"Protected traffic", "A service or translated network"}]
    assert headed == ["Protected traffic", "A service or translated network"]
    moves = [table for table in read.tables if table[0] == MOVE_HEADS]
    assert [len(table) - 1 for table in moves] == [1, 1, 1, 2]
    assert moves[0][1] == [
        "+",
        "in tcp 10.0.0.0/8 -> any:22",
        "16,777,216 addresses, one port",
        "bypass node-metrics\npolicies/worker.yaml:12:11",
        "it covers more than before",
        "in tcp 10.9.9.9:5555 -> 192.168.7.71:22",
    ]
    assert moves[3][2][:4] == ["-", "out udp any -> 192.168.7.53:53", "one address, one port", "bypass upstream-dns"]


def test_no_change_is_said() -> None:
    told = markdown_report(no_change())
    assert "No packet changes." in told
    assert "renamed: bypass `tunnels`, was `overlay`, covers the same packets" in told
    assert "What changes" not in markdown_report(passed())


def test_what_cannot_be_compared_is_said() -> None:
    assert "This cannot be told: `old.yaml:3:1`: a policy has no `name`" in markdown_report(unread_base())
    assert "Too much to tell it exactly" in markdown_report(too_large())
    assert "No packet changes" not in markdown_report(unread_base()) + markdown_report(too_large())


def test_what_is_not_told_of_a_change_is_said() -> None:
    part = replace(changed(), change=replace(changed().change or Change(""), is_complete=False))
    assert "There is more that changes than is told here" in markdown_report(part)
    assert "There is more" not in markdown_report(changed())


def test_what_is_broken_has_place_remedy_and_counterexample() -> None:
    told = markdown_report(broken())
    assert "- **Lints**: `no flow is half untracked`: 1 entry" in told
    assert "  - warning CT003 at `policies/worker.yaml:12:11`: bypasses one direction" in told
    assert "    - such as `in tcp 192.168.7.71:40000 -> 192.168.7.2:9100`" in told
    assert "    - remedy: say `both-ways: true`" in told
    assert "Held" not in told


def test_a_mistake_of_no_line_names_its_file() -> None:
    assert "error RV001 at `policies/site.yaml`: the file is empty" in markdown_report(mistaken())
    assert "Policies `policies/worker.yaml`, `policies/site.yaml`." in markdown_report(mistaken())


def test_what_is_waived_or_not_asked_is_no_secret() -> None:
    told = markdown_report(waived())
    assert "### Waived" in told
    assert "`2027-01-31`: the old cluster goes away" in told
    assert "### Broken" not in told
    assert "Not asked: kernel (no scratch namespace can be had)." in markdown_report(not_asked())
    together = "Not asked: lints, expectations, invariants, proofs, properties, kernel (the policies cannot be read)."
    assert together in markdown_report(mistaken())


def test_a_note_of_what_held_is_shown_and_what_held_without_one_is_collapsed() -> None:
    told = markdown_report(everything())
    assert "### To be known" in told
    assert told.index("note CT005") < told.index("<details>")
    assert "the policies can be read" not in told[: told.index("<details>")]


def test_questions_and_entries_are_collapsed_tables() -> None:
    told = markdown_report(everything())
    assert rendered(told).count("<details>") == 3
    tables = {table[0][0]: table for table in page(told).tables}
    assert len(tables["About"]) == 1 + len(everything().checks)
    assert [entry[0] for entry in tables["Entry"][1:]] == [
        "bypass node-metrics",
        "bypass vxlan",
        "track service-network",
    ]
    assert tables["Entry"][2][3].endswith("acknowledged: peers are only nodes: agreed with the network team")


@pytest.mark.parametrize("count", [300, 5000])
def test_a_comment_that_is_too_long_is_cut_and_says_how_much_there_is_more(count: int) -> None:
    told = markdown_report(large_change(count))
    assert len(told) <= LONGEST_COMMENT
    read = page(told)
    assert read.faults == []
    shown = sum(len(table) - 1 for table in read.tables if table[0] == MOVE_HEADS)
    section = told[told.index("### What changes") : told.index("### Broken")]
    (more,) = re.findall(r"… and ([\d,]+) more, which `ctpolicy review --format json` tells.", section)
    assert shown + int(more.replace(",", "")) == count
    assert "### Broken" in told and "- **Kernel**" in told and told.endswith("</details>\n")


def test_what_one_section_leaves_others_may_take() -> None:
    alone = replace(passed(), change=large_change().change, entries=(), checks=())
    shown = [table for table in page(markdown_report(alone)).tables if table[0] == MOVE_HEADS]
    assert len(markdown_report(alone)) > LONGEST_COMMENT * 0.9
    assert sum(map(len, shown)) > 200


def test_ten_thousand_mistakes_leave_room_for_the_first() -> None:
    remarks = tuple(Remark("RV001", Level.ERROR, f"mistake number {number}") for number in range(10_000))
    check = Check(Subject.LANGUAGE, "the policies can be read", Result.BROKEN, "10,000 mistakes", remarks)
    told = markdown_report(replace(passed(), checks=(check,)))
    assert len(told) <= LONGEST_COMMENT
    assert "mistake number 0\n" in told
    shown = len(re.findall(r"error RV001", told))
    assert f"and {10_000 - shown:,} more" in told


def test_wherever_it_is_cut_it_is_whole_and_no_heading_is_of_nothing() -> None:
    for longest in range(3_000, 12_000, 300):
        told = markdown_report(everything(), longest)
        read = page(told)
        assert len(told) <= longest
        assert read.faults == []
        assert all(len(table) > 1 for table in read.tables if table[0] == MOVE_HEADS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it covers `a b`, and 31 boxes.", "it covers `a b`, and 31 boxes."),
        ("(see @team)", "(see `@team`)"),
        ("see #1 and #2", "see `#1` and `#2`"),
        ("a <b> c", "a `<b>` c"),
        ("ask 10.0.0.0/8 -> 10.1.2.3 first", "ask `10.0.0.0/8 -> 10.1.2.3` first"),
        ("16,777,216 addresses of IPv4", "16,777,216 addresses of IPv4"),
        ("commit deadbeef", "commit `deadbeef`"),
        ("``0`", "``` ``0` ```"),
        ("a/b`x`", "`` a/b`x` ``"),
        ("1234567", "`1234567`"),
        ("", "\N{EN DASH}"),
        (" \n ", "\N{EN DASH}"),
    ],
)
def test_only_words_are_prose(text: str, shown: str) -> None:
    assert prose(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a`b", "`` a`b ``"), ("a|b", "`a`&#124;`b`"), ("|", "&#124;"), ("a\nb", "`a b`"), ("x" * 500, f"`{'x' * 400}…`")],
)
def test_anything_is_code(text: str, shown: str) -> None:
    assert code(text) == shown


def one_line(text: str) -> str:
    """A text as a report shows it."""
    line = " ".join(text.split())
    return harmless(line if len(line) <= LONGEST else f"{line[:LONGEST]}…").strip()


@given(st.text(max_size=60) | st.sampled_from(HOSTILE))
def test_a_cell_shows_what_was_written(text: str) -> None:
    table = row("a", "b") + "\n" + row("---", "---") + "\n" + row(code(text), code("end"))
    read = page(table)
    assert read.faults == []
    assert read.tables[0][1][1] == "end"
    assert read.tables[0][1][0].replace(" ", "") == (one_line(text).replace(" ", "") or "\N{EN DASH}")


@given(st.text(max_size=60) | st.sampled_from(HOSTILE) | st.text("ab`1.,(\"')@# ", max_size=20))
def test_prose_shows_what_was_written_but_for_backticks(text: str) -> None:
    read = page(f"- it: {prose(text)}")
    assert read.faults == []
    table = page(row("a") + "\n" + row("---") + "\n" + row(prose(text))).tables[0]
    shown, written = table[1][0], one_line(text) or "\N{EN DASH}"
    assert shown.replace("`", "").replace(" ", "") == written.replace("`", "").replace(" ", "")
