"""The policy's entries: pictured on their way through the hooks, and as a table that sorts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ctpolicy.review.reports.page.markup import NOTHING, Markup, element, shortened, together
from ctpolicy.review.reports.page.parts import badge, code, place_text, section, table
from ctpolicy.review.reports.page.picture_of_hooks import hooks_pictures
from ctpolicy.review.reports.page.words import counted
from ctpolicy.review.review import EntrySummary, Review

MOST_PICTURED: Final = 100
MOST_LISTED: Final = 500
"""Entries: of more, first those that changed or are spoken of."""

_MOST_PACKETS: Final = 4
_WIDEST_PACKETS: Final = 200
_WIDEST_DESCRIPTION: Final = 300
"""Boxes of one entry on one path, and characters of one of them, that the table has."""

_PATHS: Final = ("in", "forward", "out")


def hooks_section(review: Review) -> Markup:
    """A packet's way, and what entries catch on it."""
    if not review.entries:
        return section("hooks", "The way of a packet", element("p", "There are no entries, or they cannot be read."))
    shown = chosen(review, MOST_PICTURED)
    picture = element(
        "div",
        hooks_pictures(review.entries, shown),
        class_="frame figure",
        tabindex=0,
        role="region",
        aria_label="A packet's way through the hooks",
    )
    lead = "What bypasses connection tracking is caught before it and goes round it; what track entries catch does not."
    return section(
        "hooks", "The way of a packet", element("p", lead, class_="lead"), picture, _not_pictured(review, shown)
    )


def _not_pictured(review: Review, shown: Sequence[EntrySummary]) -> Markup:
    left = len(review.entries) - len(shown)
    if not left:
        return NOTHING
    words = f"{counted(left, 'more entry', 'more entries')} not drawn; first come those that changed or are spoken of."
    return element("p", words, class_="left-out")


def entries_section(review: Review) -> Markup:
    """Every entry, with what it catches in words."""
    if not review.entries:
        return NOTHING
    shown = chosen(review, MOST_LISTED)
    left = len(review.entries) - len(shown)
    columns = ("Entry", "Role", "Kind", *(path.capitalize() for path in _PATHS), "Description", "Place")
    more = f"{counted(left, 'more entry', 'more entries')} not listed: JSON has all of them."
    return section(
        "entries",
        f"Entries: {len(review.entries):,}",
        table("Entries and what they catch", columns, map(_row, shown), "entries"),
        element("p", more, class_="left-out") if left else None,
    )


def chosen(review: Review, most: int) -> list[EntrySummary]:
    """So many entries, in their order: if not all, those that changed or are spoken of before others."""
    if len(review.entries) <= most:
        return list(review.entries)
    spoken_of = _spoken_of(review)
    indices = range(len(review.entries))
    first = sorted(indices, key=lambda at: review.entries[at].name not in spoken_of)[:most]
    return [review.entries[at] for at in sorted(first)]


def _spoken_of(review: Review) -> set[str]:
    names = {remark.entry for check in review.checks for remark in check.remarks}
    if review.change is not None:
        names |= {move.entry for move in review.change.moves} | {turn.name for turn in review.change.entries}
    return names


def _row(entry: EntrySummary) -> Markup:
    covers = {covered.path: covered.packets for covered in entry.covers}
    return element(
        "tr",
        element("th", code(entry.name), scope="row"),
        element("td", badge(entry.role, f"role {'bypass' if entry.role == 'bypass' else 'track'}")),
        element("td", entry.kind),
        *(element("td", _packets(covers.get(path, ()))) for path in _PATHS),
        element("td", _description(entry)),
        element("td", place_text(entry.place)),
    )


def _packets(packets: tuple[str, ...]) -> Markup:
    shown = [element("li", code(shortened(words, _WIDEST_PACKETS))) for words in packets[:_MOST_PACKETS]]
    left = len(packets) - _MOST_PACKETS
    more = element("li", f"and {left:,} more") if left > 0 else None
    return element("ul", *shown, more, class_="packets") if shown else NOTHING


def _description(entry: EntrySummary) -> Markup:
    words = shortened(entry.description, _WIDEST_DESCRIPTION)
    if entry.acknowledge is None:
        return together([words])
    reason = shortened(entry.acknowledge, _WIDEST_DESCRIPTION)
    return together([words, " " if words else None, element("em", f"acknowledged: {reason}")])
