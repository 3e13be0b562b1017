"""Small parts that several sections of the page have: places with the marked line, witnesses, signs, tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.packetspace.packet import Packet
from ctpolicy.review.reports.page.markup import NOTHING, Inside, Markup, element, together

WIDEST_LINE: Final = 160
_LEAD: Final = 60
"""Characters of a line of a policy that are shown; of a longer one, so many before the place."""


def section(identifier: str, title: str, *inside: Inside) -> Markup:
    """A part of the page with a heading that names it, to which one can link."""
    heading = element("h2", title, id=f"{identifier}-title")
    return element("section", heading, *inside, id=identifier, aria_labelledby=f"{identifier}-title")


def code(text: str) -> Markup:
    """A word of a policy or a packet: set apart, also in direction."""
    return element("code", text)


def badge(words: str, kind: str) -> Markup:
    """A few words in a frame."""
    return element("span", words, class_=f"badge {kind}")


def witness_line(packet: Packet | None) -> Markup:
    """A packet that shows it."""
    return element("p", "such as ", code(str(packet)), class_="witness") if packet else NOTHING


def place_text(place: Place | None) -> Markup:
    """Where it is in a file."""
    return element("span", str(place), class_="place") if place else NOTHING


def marked_line(place: Place | None) -> Markup:
    """The line of the policy, its span marked."""
    if place is None or not place.line or not place.text.strip():
        return NOTHING
    at = max(0, place.column - 1)
    start = max(0, at - _LEAD) if len(place.text) > WIDEST_LINE else 0
    shown = place.text[start : start + WIDEST_LINE]
    begin, end = at - start, at - start + place.length
    return element("pre", element("code", shown[:begin], element("mark", shown[begin:end]), shown[end:].rstrip()))


def table(caption: str, columns: Iterable[str], rows: Iterable[Markup], kind: str) -> Markup:
    """A table with a caption that only readers of the screen hear, in a frame of its own that scrolls if it must."""
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    return element(
        "div",
        element(
            "table",
            element("caption", caption, class_="unseen"),
            element("thead", head),
            element("tbody", together(rows)),
            class_=f"sorts {kind}",
        ),
        class_="frame",
        tabindex=0,
        role="region",
        aria_label=caption,
    )
