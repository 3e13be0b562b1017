"""A few reports in full, in tests/scenarios/reviews, for people to read.

`pytest tests/review/reports/test_reports_that_people_read.py --regenerate` writes them anew; review the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import ctpolicy
from ctpolicy.review.reports.formats import FORMATS
from review.reviews import REVIEWS

GOLDEN = Path(__file__).parents[2] / "scenarios" / "reviews"
READ = {
    "passed.md": "markdown",
    "everything.md": "markdown",
    "mistaken.md": "markdown",
    "changed.json": "json",
    "waived.sarif": "sarif",
    "everything.xml": "junit",
}


@pytest.mark.parametrize("name", READ)
def test_report_is_as_it_was_read(name: str, request: pytest.FixtureRequest) -> None:
    review = REVIEWS[name.partition(".")[0]]()
    text = FORMATS[READ[name]](review).replace(f'"{ctpolicy.__version__}"', '"VERSION"')
    if request.config.getoption("--regenerate"):
        (GOLDEN / name).write_text(text)
    assert text == (GOLDEN / name).read_text()


def test_no_report_is_kept_that_nobody_makes() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(READ)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_that_is_said_is_lost(name: str) -> None:
    review = REVIEWS["everything"]()
    text = FORMATS[name](review)
    said = [str(remark.witness) for check in review.checks for remark in check.remarks if remark.witness]
    said += [remark.code for check in review.checks for remark in check.remarks]
    said += [check.told for check in review.checks if check.told.isalpha()]
    assert review.change is not None
    said += [move.packets for move in review.change.moves] + [move.entry for move in review.change.moves]
    shown = text.replace("&gt;", ">")
    assert [one for one in said if one not in shown] == []
