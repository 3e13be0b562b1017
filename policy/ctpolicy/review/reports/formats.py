"""The formats that a review is written in, by the names that users call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ctpolicy.review.reports.as_json import json_report
from ctpolicy.review.reports.html import html_report
from ctpolicy.review.reports.junit import junit_report
from ctpolicy.review.reports.markdown import markdown_report
from ctpolicy.review.reports.sarif import sarif_report
from ctpolicy.review.review import Review

FORMATS: Final[Mapping[str, Callable[[Review], str]]] = {
    "markdown": markdown_report,
    "json": json_report,
    "sarif": sarif_report,
    "junit": junit_report,
    "html": html_report,
}
"""Each gives the whole document, whose last character is a line feed."""

ENDINGS: Final[Mapping[str, str]] = {
    ".md": "markdown",
    ".sarif": "sarif",
    ".sarif.json": "sarif",
    ".json": "json",
    ".xml": "junit",
    ".html": "html",
}
"""The format of a file by the end of its name; the longer end comes first."""
