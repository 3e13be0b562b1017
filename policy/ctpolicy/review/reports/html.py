"""A review as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Who reads it may have got it from a stranger's pull request, so a content security policy, which names the page's one
style and one script by their hashes, forbids everything else; all text is escaped (page/markup.py). The script only
makes tables sort and opens what is folded before printing: without it the page says the same.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from ctpolicy.review.reports.page.change import change_section
from ctpolicy.review.reports.page.checks import all_checks, waivers, what_is_broken
from ctpolicy.review.reports.page.entries import entries_section, hooks_section
from ctpolicy.review.reports.page.markup import Markup, element
from ctpolicy.review.reports.page.verdict import title, verdict, verdict_word
from ctpolicy.review.review import Review

_LINKS: Final = (
    ("broken", "What is broken"),
    ("change", "What changes"),
    ("waived", "Waived"),
    ("hooks", "The way of a packet"),
    ("checks", "Checks"),
    ("entries", "Entries"),
)


def html_report(review: Review) -> str:
    """The page: verdict, what is broken, what changes, the way of a packet, checks, entries."""
    main = element(
        "main",
        what_is_broken(review),
        change_section(review),
        waivers(review),
        hooks_section(review),
        all_checks(review),
        entries_section(review),
        id="main",
    )
    body = element("body", _PATTERNS, verdict(review), _navigation(main), main, _FOOTER, _script())
    return f"<!doctype html>\n{element('html', _head(review), body, lang='en')}\n"


def _head(review: Review) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_security_policy()),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", f"{verdict_word(review)}: {title(review)} (ctpolicy review)"),
        element("style", Markup(shipped("style.css"))),
    )


def content_security_policy() -> str:
    """Nothing but this style and this script, nothing from anywhere, nothing sent anywhere."""
    allowed = (f"style-src {_hash(shipped('style.css'))}", f"script-src {_hash(shipped('sort.js'))}")
    return "; ".join(("default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"))


@cache
def shipped(name: str) -> str:
    """The page's style or its script, as it is packaged."""
    return files("ctpolicy.review.reports.page").joinpath(name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def _script() -> Markup:
    return element("script", Markup(shipped("sort.js")))


def _navigation(main: Markup) -> Markup:
    """Links to the sections that are there."""
    links = [element("a", words, href=f"#{name}") for name, words in _LINKS if f'<section id="{name}"' in main.text]
    return element("nav", *links, aria_label="Sections")


_FOOTER: Final = element(
    "footer",
    element(
        "p", "Made by ctpolicy review. Path, protocol, source, destination and device are in the notation of packets."
    ),
)


def _tip(identifier: str) -> Markup:
    """The tip of an arrow."""
    shape = element("path", d="M0 0L8 4L0 8Z", class_=identifier)
    return element(
        "marker", shape, id=identifier, viewBox="0 0 8 8", refX=7, refY=4, markerWidth=7, markerHeight=7, orient="auto"
    )


_PATTERNS: Final = element(
    "svg",
    element("title", "Patterns of the pictures"),
    element(
        "defs",
        _tip("tip"),
        _tip("tip-round"),
        element(
            "pattern",
            element("rect", width=6, height=6, class_="hatch-paper"),
            element("path", d="M0 6L6 0M-1 1L1 -1M5 7L7 5", class_="hatch-line"),
            id="hatch",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        ),
    ),
    class_="unseen",
    aria_hidden="true",
)
"""What the pictures refer to; the hatching tells `tracked again` from `newly untracked` without colour."""
