"""Strangers' text in Markdown: it is shown, and never obeyed.

A forge reads more than CommonMark in a comment: mentions, references to issues and commits, bare links, math, emoji,
quick actions. Much of it is looked for after Markdown has been rendered, so that a backslash or an entity before the
sign does not help (cmark-gfm makes a link of `a&#64;b.org`). No forge looks into code spans. So whatever is more than
letters, small numbers and the punctuation of a sentence stands in a code span, and no backslash is needed at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from re import compile as pattern
from typing import Final

from ctpolicy.language.diagnostics import harmless

LONGEST: Final = 400
"""Characters of one text that are shown."""

_NONE: Final = "\N{EN DASH}"

# Seven hexadecimal digits and more may be a commit.
_PLAIN: Final = pattern(
    r"(?![0-9A-Fa-f]{7,}$)[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|IPv[46]|\d{1,3}(?:,\d{3})*|\d{4,6}|[\u2013\u2014]|"
)
_WORD: Final = pattern(r"""([("']*)(.*?)([.,;:!?)"']*)""")
_BACKTICKS: Final = pattern(r"`+")
# What is quoted by backticks, with punctuation around it, between spaces: two spans side by side would be none.
_QUOTED: Final = pattern(r"""(?<!\S)([("']*)`([^`]+)`((?:'s)?[.,;:!?)"']*)(?!\S)""")


def code(text: str) -> str:
    """A text as a code span, for a line or a cell of a table; a dash if there is none.

    A bar ends a cell even within a code span, so it stands outside, as an entity.
    """
    shown = _shown(text)
    return "&#124;".join(_span(part) if part else "" for part in shown.split("|")) if shown else _NONE


def prose(text: str) -> str:
    """A sentence as text, what is quoted by backticks in it and every word that might be more than a word as code.

    It must not begin a line: a number with a full stop would begin a list.
    """
    shown = _shown(text)
    said, end = "", 0
    for quoted in _QUOTED.finditer(shown):
        said += _sentence(shown[end : quoted.start()]) + quoted[1] + code(quoted[2]) + quoted[3]
        end = quoted.end()
    return said + _sentence(shown[end:]) or _NONE


def row(*cells: str) -> str:
    """A row of a table, of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |"


def _shown(text: str) -> str:
    """One line of a text, without control and formatting characters, and not too much of it."""
    line = " ".join(text.split())
    return harmless(line if len(line) <= LONGEST else f"{line[:LONGEST]}…").strip()


def _span(text: str) -> str:
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"


def _sentence(text: str) -> str:
    """Words with what separates them; neighbours that are code are one span."""
    lead = " " if text.startswith(" ") else ""
    end = " " if text.endswith(" ") and text.strip() else ""
    return lead + " ".join(_joined(text.split())) + end


def _joined(words: list[str]) -> Iterator[str]:
    for is_plain, group in groupby(words, key=_is_plain):
        alike = list(group)
        yield from alike if is_plain else [_coded(" ".join(alike))]


def _is_plain(word: str) -> bool:
    found = _WORD.fullmatch(word)
    return found is not None and _PLAIN.fullmatch(found[2]) is not None


def _coded(words: str) -> str:
    """Code, with the punctuation around it left outside."""
    found = _WORD.fullmatch(words)
    assert found is not None  # all three parts may be empty, and there is no line feed
    return f"{found[1]}{code(found[2])}{found[3]}" if found[2] else words
