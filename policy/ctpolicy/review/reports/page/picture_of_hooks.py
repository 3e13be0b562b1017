"""A packet's way through the hooks, and below it, column by column, what each entry catches on each path.

Rules that leave packets untracked stand at priority -300, before conntrack at -200: what they catch goes round it, as
the dashed lines do. The columns are cut into pictures of a few entries each, so that no printed page cuts one in two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ctpolicy.review.reports.page.markup import Markup, element, shortened, together
from ctpolicy.review.reports.page.words import counted
from ctpolicy.review.review import EntrySummary

WIDTH: Final = 1080
"""Units of both pictures; where the page is narrower than is readable, they scroll."""

ENTRIES_A_PICTURE: Final = 20
"""Of the columns: so many fit on a printed page."""

_PATHS: Final = {"in": "to this host", "forward": "through it", "out": "from this host"}
_BOXES: Final = (  # left, top, width, height, words and the words below them
    (8, 70, 92, 50, "network", ""),
    (364, 70, 132, 50, "conntrack", "priority \N{MINUS SIGN}200"),
    (548, 70, 92, 50, "routing", ""),
    (716, 22, 108, 44, "input", ""),
    (972, 22, 100, 44, "this host", ""),
    (716, 120, 108, 44, "forward", ""),
    (860, 120, 108, 166, "postrouting", ""),
    (1000, 178, 72, 50, "network", ""),
    (8, 236, 92, 50, "this host", ""),
    (364, 236, 132, 50, "conntrack", "priority \N{MINUS SIGN}200"),
)
_ARROWS: Final = (
    "M100 95H142",
    "M324 95H358",
    "M496 95H542",
    "M640 87H678V44H710",
    "M640 103H678V142H710",
    "M824 44H966",
    "M824 142H854",
    "M968 203H994",
    "M100 261H142",
    "M324 261H358",
    "M496 261H854",
)
_ROUND_CONNTRACK: Final = (
    "M324 82C346 82 340 48 366 48H494C520 48 514 82 542 82",
    "M324 248C346 248 340 214 366 214H494C524 214 520 252 560 254H854",
)

_NAMES_END: Final = 214
_COLUMNS: Final = (222, 510, 798)
_COLUMN: Final = 276
_ROW: Final = 26
_MOST_IN_NAME: Final = 19
_MOST_IN_CELL: Final = 38
"""Characters of a fixed width that fit."""


def hooks_pictures(entries: Sequence[EntrySummary], shown: Sequence[EntrySummary]) -> Markup:
    """The way, with how many entries catch something on it; then what these entries catch."""
    parts = [shown[at : at + ENTRIES_A_PICTURE] for at in range(0, len(shown), ENTRIES_A_PICTURE)]
    return together([_way(entries), *(_columns(part, at * ENTRIES_A_PICTURE) for at, part in enumerate(parts))])


def _way(entries: Sequence[EntrySummary]) -> Markup:
    number = {path: sum(any(one.path == path for one in entry.covers) for entry in entries) for path in _PATHS}
    words = "; ".join(f"{counted(count, 'entry', 'entries')} on path {path}" for path, count in number.items())
    return element(
        "svg",
        element("title", f"A packet's way through the hooks. Of this policy catch something: {words}"),
        *(element("path", d=line, class_="arrow", marker_end="url(#tip)") for line in _ARROWS),
        *(element("path", d=line, class_="round", marker_end="url(#tip-round)") for line in _ROUND_CONNTRACK),
        _text("untracked", 430, 42, "small round-words"),
        _text("untracked", 430, 208, "small round-words"),
        *(_box(*box) for box in _BOXES),
        *_raw(58, "prerouting", [f"in: {_caught(number['in'])}", f"forward: {_caught(number['forward'])}"]),
        *_raw(232, "output", [f"out: {_caught(number['out'])}"]),
        _text("in", 895, 36, "path-name"),
        _text("forward", 770, 184, "path-name"),
        _text("out", 680, 284, "path-name"),
        viewBox=f"0 0 {WIDTH} 308",
        role="img",
        class_="hooks",
    )


def _caught(count: int) -> str:
    return counted(count, "entry", "entries") if count else "nothing"


def _raw(top: int, hook: str, lines: list[str]) -> Iterator[Markup]:
    """The place where this policy's rules are, and how many entries are in them."""
    yield element("rect", x=148, y=top, width=176, height=38 + 18 * len(lines), rx=6, class_="ours")
    yield _text(f"{hook}, raw \N{MINUS SIGN}300", 236, top + 22, "strong")
    for at, line in enumerate(lines):
        yield _text(line, 236, top + 42 + 18 * at, "small")


def _box(left: int, top: int, width: int, height: int, words: str, below: str) -> Markup:
    middle = top + height / 2
    texts = [_text(words, left + width / 2, middle - 3 if below else middle + 5)]
    if below:
        texts.append(_text(below, left + width / 2, middle + 14, "small"))
    return together([element("rect", x=left, y=top, width=width, height=height, rx=6, class_="station"), *texts])


def _text(words: str, x: float, y: float, class_: str | None = None) -> Markup:
    return element("text", words, x=x, y=y, class_=class_, text_anchor="middle")


def _columns(entries: Sequence[EntrySummary], before: int) -> Markup:
    """A few entries, one a row, and what each catches in a column for each path."""
    height = _ROW * (len(entries) + 1)
    return element(
        "svg",
        element("title", f"What entries {before + 1} to {before + len(entries)} catch on each path"),
        *(_heading(path, left) for path, left in zip(_PATHS, _COLUMNS, strict=True)),
        *(_entry_row(entry, _ROW * (at + 1)) for at, entry in enumerate(entries)),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        class_="columns",
    )


def _heading(path: str, left: int) -> Markup:
    return element("text", f"{path}: {_PATHS[path]}", x=left + 8, y=_ROW - 9, class_="strong")


def _entry_row(entry: EntrySummary, top: int) -> Markup:
    role = "bypass" if entry.role == "bypass" else "track"
    covers = {covered.path: covered.packets for covered in entry.covers}
    name = element("text", shortened(entry.name, _MOST_IN_NAME), x=64, y=top + 17, class_="mono")
    cells = (_cell(covers.get(path, ()), left, top, role) for path, left in zip(_PATHS, _COLUMNS, strict=True))
    full = element("title", f"{entry.role} {entry.name}")
    return element("g", full, _role(role, top), name, *cells)


def _role(role: str, top: int) -> Markup:
    rect = element("rect", x=4, y=top + 3, width=52, height=_ROW - 6, rx=4, class_=role)
    return together([rect, element("text", role, x=30, y=top + 17, class_=f"small on-{role}", text_anchor="middle")])


def _cell(packets: tuple[str, ...], left: int, top: int, role: str) -> Markup:
    """What is caught on one path; a line goes on where nothing is."""
    if not packets:
        middle = top + _ROW / 2
        return element("path", d=f"M{left} {middle}H{left + _COLUMN}", class_="nothing")
    more = f" +{len(packets) - 1}" if len(packets) > 1 else ""
    words = shortened(packets[0], _MOST_IN_CELL - len(more)) + more
    return element(
        "g",
        element("title", "; ".join(packets[:8])),
        element("rect", x=left, y=top + 3, width=_COLUMN, height=_ROW - 6, rx=4, class_=role),
        element("text", words, x=left + 8, y=top + 17, class_=f"mono on-{role}"),
    )
