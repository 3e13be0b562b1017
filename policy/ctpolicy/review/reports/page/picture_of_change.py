"""A move as a box that is drawn: what it covers of each field, where that is, and how much of it.

Each address and port has an axis of all its values on which the box's own are filled; where these are pieces of a small
part, a lens opens below on that part alone, so that a hole of one port is seen. Beside it a bar tells how many values
there are, each step twice as many as the one before: one value is empty, any is full, and a /16 is twice as wide as a
/24 on it by as much as it should alarm. Axes are SVG without text, so that they can be stretched; words are HTML.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ctpolicy.packetspace.box_text import values_text
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval, IntervalSet
from ctpolicy.packetspace.universe import FAMILIES, PATHS, Box, Field
from ctpolicy.review.reports.page.extent import Extent, extents, shares
from ctpolicy.review.reports.page.markup import NOTHING, Markup, element, together
from ctpolicy.review.reports.page.words import counted, share_of_doublings
from ctpolicy.review.review import Direction

WIDTH: Final = 1000
"""Of an axis, in units of its picture; it is stretched to the page's."""

_NARROWEST: Final = 8
"""Units: about 3 pixels where the axis is narrow."""

_MOST_PIECES: Final = 40
"""That are drawn one by one; of more, how dense they are."""

_STEPS: Final = 125
_PALEST: Final = 0.2

_STRIP, _LENS, _CLOSER = (0, 12), (12, 20), (20, 36)
"""From where to where down the axis, the lens that opens and the part that it shows are drawn."""


def box_picture(box: Box, around: Box | None, direction: Direction) -> Markup:
    """A box, field by field, and what it is a part of."""
    rows = together(_row(extent, direction) for extent in extents(box, around))
    head = element("tr", *(element("th", words, scope="col") for words in ("Field", "Values", "Where", "How many")))
    table = element(
        "table",
        element("caption", "What the box covers of each field", class_="unseen"),
        element("thead", head, class_="unseen"),
        element("tbody", rows),
        class_="extents",
    )
    return element("div", _choices(box), table, class_="box")


def _choices(box: Box) -> Markup:
    """The fields of few values: each of them, those of the box filled."""
    return element(
        "ul",
        _choice("path", [path.value for path in PATHS], box.get(Field.PATH)),
        _choice("family", [family.value for family in FAMILIES], box.get(Field.FAMILY)),
        _named("protocol", _words(box, Field.PROTOCOL)),
        _named("interface", _words(box, Field.INTERFACE)),
        class_="choices",
    )


def _choice(name: str, values: list[str], chosen: IntervalSet | None) -> Markup:
    marks = together(_mark(value, chosen is None or at in chosen) for at, value in enumerate(values))
    return element("li", element("span", name, class_="field"), marks)


def _mark(value: str, is_chosen: bool) -> Markup:
    return element("span", value, class_="chosen") if is_chosen else element("s", value, class_="other")


def _named(name: str, words: str) -> Markup:
    return element("li", element("span", name, class_="field"), element("span", words, class_="chosen"))


def _words(box: Box, field: Field) -> str:
    return "any" if field not in box else values_text(field, box[field], Family.IPV6)


def _row(extent: Extent, direction: Direction) -> Markup:
    return element(
        "tr",
        element("th", extent.name, scope="row"),
        element("td", element("code", extent.words), _part_of(extent), class_="values"),
        element("td", _axis(extent, direction), _ends(extent), class_="where"),
        element("td", _amount(extent), class_="amount"),
    )


def _part_of(extent: Extent) -> Markup:
    words = extent.words_around
    return element("span", " of ", element("code", words), class_="part-of") if words else NOTHING


def _amount(extent: Extent) -> Markup:
    """How many values, in words and as a bar on which each step doubles them."""
    kind = ("address", "addresses") if "port" not in extent.name else ("port", "ports")
    words = f"every {kind[0]}" if extent.is_any else counted(extent.count, *kind)
    filled = max(2.0, 100 * share_of_doublings(extent.count, extent.bits))
    bar = element(
        "svg",
        element("title", f"{extent.name}: {words}; from one (empty) to all (full), each step twice as many"),
        element("rect", class_="rest", width=100, height=6, rx=3),
        element("rect", class_="filled", width=filled, height=6, rx=3),
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        role="img",
        class_="many",
    )
    return together([element("span", words), bar])


def _axis(extent: Extent, direction: Direction) -> Markup:
    shapes = [*_strip(extent, extent.whole, _STRIP)]
    height = _STRIP[1]
    if extent.is_worth_a_closer_look:
        height = _CLOSER[1]
        shapes += [_lens(extent.frame, extent.whole), *_strip(extent, extent.frame, _CLOSER)]
    closer = " closer" if extent.is_worth_a_closer_look else ""
    return element(
        "svg",
        element("title", f"{extent.name}: {extent.words}"),
        *shapes,
        viewBox=f"0 0 {WIDTH} {height}",
        preserveAspectRatio="none",
        role="img",
        class_=f"axis {'untracked' if direction is Direction.UNTRACKED else 'tracked'}{closer}",
    )


def _ends(extent: Extent) -> Markup:
    """The first and last value of what the lens shows."""
    if not extent.is_worth_a_closer_look:
        return NOTHING
    first, last = (extent.text(IntervalSet.single(value)) for value in extent.frame)
    return element("span", element("span", first), element("span", last), class_="ends")


def _strip(extent: Extent, frame: Interval, rows: tuple[int, int]) -> Iterator[Markup]:
    """An axis with its values filled; where that is most of it, all filled but for the holes."""
    top, height = rows[0], rows[1] - rows[0]
    beside = _pieces("beside", extent.beside, frame, (top + height * 0.35, height * 0.3))
    yield element("rect", class_="rest", y=top, width=WIDTH, height=height)
    if frame == extent.hull and extent.is_hull_but_few and len(extent.left_out) <= _MOST_PIECES:
        yield element("rect", class_="filled", y=top, width=WIDTH, height=height)
        yield from _pieces("hole", extent.left_out, frame, (top, height))
        yield from beside
    else:
        yield from beside
        is_dense = len(extent.values) > _MOST_PIECES
        yield from (_dense if is_dense else _pieces)("filled", extent.values, frame, (top, height))


def _pieces(kind: str, values: IntervalSet, frame: Interval, rows: tuple[float, float]) -> Iterator[Markup]:
    """One rectangle a piece."""
    for start, width in _drawn(values & IntervalSet((frame,)), frame):
        yield element("rect", class_=kind, x=start, y=rows[0], width=width, height=rows[1])


def _dense(kind: str, values: IntervalSet, frame: Interval, rows: tuple[float, float]) -> Iterator[Markup]:
    """Too many pieces to draw each: an axis in steps, each the paler the less of it is there."""
    step = WIDTH / _STEPS
    for at, share in enumerate(shares(values, frame, _STEPS)):
        if share:
            opacity = _PALEST + (1 - _PALEST) * share
            yield element("rect", class_=kind, fill_opacity=opacity, x=step * at, y=rows[0], width=step, height=rows[1])


def _drawn(pieces: IntervalSet, frame: Interval) -> list[tuple[float, float]]:
    """Where pieces begin and how wide they are, none too narrow to see; those that then touch are one."""
    drawn: list[tuple[float, float]] = []
    for piece in pieces:
        start, end = _span(piece, frame)
        if drawn and start <= drawn[-1][0] + drawn[-1][1]:
            drawn[-1] = drawn[-1][0], max(end, sum(drawn[-1])) - drawn[-1][0]
        else:
            drawn.append((start, end - start))
    return drawn


def _span(piece: Interval, frame: Interval) -> tuple[float, float]:
    """From where to where a piece is drawn on an axis of this frame, to a hundredth."""
    size = frame[1] - frame[0] + 1
    start = WIDTH * (piece[0] - frame[0]) / size
    width = max(_NARROWEST, WIDTH * (piece[1] - piece[0] + 1) / size)
    start = min(start, WIDTH - width)
    return round(start, 2), round(start + width, 2)


def _lens(frame: Interval, whole: Interval) -> Markup:
    """From the frame's place on the axis to the full width below."""
    start, end = (number for number in _span(frame, whole))
    top, bottom = _LENS
    return element("path", class_="lens", d=f"M{start} {top}H{end}L{WIDTH} {bottom}H0Z")
