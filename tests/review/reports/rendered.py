"""Markdown as GitHub renders it, and what of it is more than a report may be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from cmarkgfm import github_flavored_markdown_to_html
from cmarkgfm.cmark import Options

ALLOWED: Final = {
    *("h2", "h3", "p", "strong", "code", "ul", "li", "br", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_EMPTY: Final = {"br"}

# What forges look for in text outside of code is made of other characters, or of words around a colon.
_TEXT: Final = re.compile(r"[\w\s.,;:()'\"!?|…\u2019\u2013\u2014-]*")
_ACTIVE: Final = re.compile(r"\w[:.]\w|:\w+:|www|\b[0-9a-fA-F]{7,}\b|[A-Za-z]-\d")


def rendered(text: str) -> str:
    """A comment as HTML, before GitHub's sanitizer: nothing is to be left for that to take out."""
    html = github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES)
    assert isinstance(html, str)
    return html


@dataclass
class Page(HTMLParser):
    """What a page is made of.

    Args:
        faults: tags, attributes and texts that a report has not.
        plain: texts outside of code.
        code: the text of each code span.
        tables: the text of each cell by row, by table, heads first.
    """

    faults: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED or attrs:
            self.faults.append(f"<{tag} {attrs}>")
        if tag not in _EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
        elif tag == "br" and self.tables:
            self.tables[-1][-1][-1] += "\n"
        elif tag == "code":
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY and (not self.open or self.open.pop() != tag):
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data
        if "code" in self.open:
            self.code[-1] += data
            return
        self.plain.append(data)
        if not _TEXT.fullmatch(data) or _ACTIVE.search(data):
            self.faults.append(f"text: {data!r}")

    def handle_comment(self, data: str) -> None:
        if data != " ctpolicy review ":
            self.faults.append(f"comment: {data!r}")

    def handle_decl(self, decl: str) -> None:
        self.faults.append(f"declaration: {decl!r}")

    def unknown_decl(self, data: str) -> None:
        self.faults.append(f"unknown declaration: {data!r}")

    def handle_pi(self, data: str) -> None:
        self.faults.append(f"processing instruction: {data!r}")


def page(text: str) -> Page:
    """A comment as people see it."""
    read = Page()
    read.feed(rendered(text))
    read.close()
    read.faults += [f"<{tag}> is never closed" for tag in read.open]
    return read


def markdown_faults(text: str) -> list[str]:
    """What of a comment is no part of a report, or too much for a comment."""
    too_long = ["it is too long"] if len(text.encode("utf-16-le")) // 2 > 65_536 else []
    return page(text).faults + too_long
