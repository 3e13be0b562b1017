"""The words of a line of iptables: as iptables-restore takes them apart, and as iptables-save quotes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")
"""What iptables-save prints without quotes (xtables_save_string)."""

_ESCAPED: Final = re.compile(r"""(["\\'])""")


class Quoted(str):
    """A word that stood in quotes, without them. It is never an option."""

    __slots__ = ()


def quoted(text: str) -> str:
    """Free text as iptables-save prints it: in quotes where anything but letters, digits, `_` and `-` is in it."""
    return text if _PLAIN.fullmatch(text) else '"' + _ESCAPED.sub(r"\\\1", text) + '"'


def text_of(words: Iterable[str]) -> str:
    """Words as a line; the inverse of `words_of`."""
    return " ".join(quoted(word) if isinstance(word, Quoted) else word for word in words)


def words_of(line: str) -> list[str]:
    """The words of a line. Only inside quotes a backslash keeps its successor from being special.

    Raises:
        ValueError: a quotation is not ended.
    """
    if '"' not in line:
        return line.split()
    found: list[str] = []
    current, in_quotes, was_quoted, at = "", False, False, 0
    while at < len(line):
        character = line[at]
        if in_quotes and character == "\\" and at + 1 < len(line):
            at += 1
            current += line[at]
        elif character == '"':
            in_quotes, was_quoted = not in_quotes, True
        elif in_quotes or character not in " \t":
            current += character
        elif current or was_quoted:
            found.append(Quoted(current) if was_quoted else current)
            current, was_quoted = "", False
        at += 1
    if in_quotes:
        raise ValueError("a quotation is not ended")
    if current or was_quoted:
        found.append(Quoted(current) if was_quoted else current)
    return found
