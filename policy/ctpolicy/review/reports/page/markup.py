"""Markup as values: text is escaped because it is not markup, so that nothing can be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final

from ctpolicy.language.diagnostics import harmless

_VOID: Final = frozenset({"br", "meta"})
"""HTML's elements that have no end tag, as far as they are used here."""

LONGEST_TEXT: Final = 2000
"""Characters of one text that somebody wrote; of a longer one, the beginning."""


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML or SVG, escaped already. Made by the functions below, and of constants."""

    text: str

    def __str__(self) -> str:
        return self.text


Inside = Markup | str | None
"""What an element holds: markup as it is, text escaped, and nothing."""

NOTHING: Final = Markup("")


def element(name: str, *inside: Inside, **attributes: str | float | None) -> Markup:
    """An element. In attributes' names `_` stands for `-`, but for one at the end; those that are None are left out."""
    start = "".join([name, *(_attribute(key, value) for key, value in attributes.items() if value is not None)])
    return Markup(f"<{start}>" if name in _VOID else f"<{start}>{together(inside)}</{name}>")


def together(parts: Iterable[Inside]) -> Markup:
    """One after the other."""
    return Markup("".join(_escaped(part) for part in parts))


def shortened(text: str, most: int) -> str:
    """A text, or the beginning of it and an ellipsis: so many characters at most."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def number(value: float) -> str:
    """A coordinate, to a hundredth."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _escaped(part: Inside) -> str:
    if isinstance(part, Markup):
        return part.text
    return escape(harmless(shortened(part, LONGEST_TEXT))) if part else ""


def _attribute(name: str, value: str | float) -> str:
    text = value if isinstance(value, str) else number(value)
    return f' {name.rstrip("_").replace("_", "-")}="{_escaped(text)}"'
