"""A mistake in a policy: where it is, what is wrong, what was expected. Deciding is elsewhere; here it is written down.

examples/vxlan.yaml:12:14: port 70000 is above 65535
    host-service: tcp/70000
                      ^~~~~
  expected: a port between 0 and 65535
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final

from ctpolicy.errors import InputError

WIDEST_LINE: Final = 160
"""Columns of a source line that are shown; of a longer one, the part around the mistake."""

_LEAD: Final = 60
"""Columns shown before the mistake in a line that is too long to show whole."""

_MARGIN: Final = "    "
_NOTE: Final = "  "


@dataclass(frozen=True, slots=True)
class Place:
    """A span of one line of one file.

    Args:
        file: as the user named it.
        line: from 1; 0 for the file as a whole.
        column: from 1, in characters; 0 for the file as a whole.
        length: of the span, in characters; at least 1.
        text: the whole line, as it is in the file.
    """

    file: str
    line: int = 0
    column: int = 0
    length: int = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that a mistake has to do with, and what is there."""

    place: Place
    note: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake.

    Args:
        place: where.
        message: what is wrong, without a final stop.
        expected: what would be right; empty where the message says so already.
        suggestion: what was probably meant, as it should be written; empty if nothing is near.
        related: another place, such as the first of two that may not both be.
    """

    place: Place
    message: str
    expected: str = ""
    suggestion: str = ""
    related: Related | None = None

    @property
    def file(self) -> str:
        """The file, as the user named it."""
        return self.place.file

    @property
    def line(self) -> int:
        """From 1; 0 for the file as a whole."""
        return self.place.line

    @property
    def column(self) -> int:
        """From 1; 0 for the file as a whole."""
        return self.place.column

    @property
    def hint(self) -> str:
        """The remedy: what was probably meant, or else what was expected; empty if the message says it all."""
        return "; ".join(_remedies(self))

    def __str__(self) -> str:
        return render(self)


class PolicyError(InputError):
    """Policy files with mistakes in them: every one, sorted by place. The author of the policy must act.

    Attributes:
        diagnostics: at least one.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render_all(self.diagnostics)


def nearest(word: str, candidates: Iterable[str]) -> str:
    """The candidate that was probably meant by a word, or nothing if none of the first thousand is near."""
    known = list(islice(candidates, 1000))
    longer = [candidate for candidate in known if len(word) > 2 and candidate.startswith(word)]
    found = longer or get_close_matches(word[:64], known, n=1, cutoff=0.6)
    return found[0] if found else ""


def render_all(diagnostics: Sequence[Diagnostic]) -> str:
    """Mistakes as people read them in a terminal, one after the other."""
    return "\n".join(render(diagnostic) for diagnostic in diagnostics)


def render(diagnostic: Diagnostic) -> str:
    """One mistake as people read it: the place and the message, the line with the span marked, the remedy."""
    lines = [f"{diagnostic.place}: {diagnostic.message}", *_marked(diagnostic.place)]
    lines += [_NOTE + remedy for remedy in _remedies(diagnostic)]
    if diagnostic.related:
        lines += [f"{_NOTE}{diagnostic.related.place}: {diagnostic.related.note}", *_marked(diagnostic.related.place)]
    return "\n".join(harmless(line) for line in lines)


def harmless(text: str) -> str:
    """Text without anything that a terminal obeys: control and formatting characters are made visible."""
    return "".join(map(_visible, text)) if not text.isprintable() else text


def _remedies(diagnostic: Diagnostic) -> list[str]:
    remedies = [f"did you mean `{diagnostic.suggestion}`?"] if diagnostic.suggestion else []
    return remedies + ([f"expected: {diagnostic.expected}"] if diagnostic.expected else [])


def _marked(place: Place) -> list[str]:
    """The line and, below it, a caret and tildes as wide as the span."""
    if not place.line or not place.text or place.text.isspace():
        return []
    at = place.column - 1
    start = max(0, at - _LEAD) if len(place.text) > WIDEST_LINE else 0
    shown = place.text[start : start + WIDEST_LINE]
    span = shown[at - start : at - start + place.length]
    pad = " " * _columns(shown[: at - start])
    return [_MARGIN + shown.rstrip(), f"{_MARGIN}{pad}^{'~' * (_columns(span) - 1)}"]


def _columns(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    """Columns of a terminal: two for wide characters, none for those that join the one before."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _visible(character: str) -> str:
    """The same, or one column that stands for it (the control pictures block for the C0 controls)."""
    if character == "\t":
        return " "
    if character < " ":
        return chr(0x2400 + ord(character))
    return character if character.isprintable() or character == " " else "\N{REPLACEMENT CHARACTER}"
