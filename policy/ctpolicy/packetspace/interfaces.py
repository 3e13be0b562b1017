"""Network interface names, and sets of them as netfilter matches them: exact names and trailing-`*` patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LONGEST_NAME: Final = 15
"""Bytes; the kernel's IFNAMSIZ less the closing zero."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.+=@-]{1,15}")


def is_interface_name(text: str) -> bool:
    """Whether this can name an interface: 1 to 15 letters, digits and `_.+=@-`, and neither `.` nor `..`.

    The kernel takes more, but quotes, blanks and backslashes do not survive a ruleset's text form.
    """
    return _NAME.fullmatch(text) is not None and text not in {".", ".."}


def is_interface_pattern(text: str) -> bool:
    """Whether this is an interface name, or the beginning of one (1 to 14 characters) and a `*`."""
    if not text.endswith("*"):
        return is_interface_name(text)
    return len(text) <= LONGEST_NAME and _NAME.fullmatch(text[:-1]) is not None


@dataclass(frozen=True, slots=True)
class Interfaces:
    """A set of interface names: those that a pattern covers, or all of them.

    Args:
        patterns: sorted, and none covered by another; None for every interface. Build it with `of`.
    """

    patterns: tuple[str, ...] | None = None

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Interfaces:
        """The names that any of these patterns covers."""
        given = set(patterns)
        return cls(tuple(sorted(p for p in given if not any(_covers(other, p) for other in given - {p}))))

    @property
    def is_any(self) -> bool:
        """Whether every interface is in the set."""
        return self.patterns is None

    @property
    def names(self) -> tuple[str, ...]:
        """The exact names, sorted."""
        return tuple(p for p in self.patterns or () if not p.endswith("*"))

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The patterns with a trailing `*`, sorted."""
        return tuple(p for p in self.patterns or () if p.endswith("*"))

    def __contains__(self, name: str) -> bool:
        return self.patterns is None or any(_covers(pattern, name) for pattern in self.patterns)


def _covers(pattern: str, other: str) -> bool:
    if pattern.endswith("*"):
        return other.startswith(pattern[:-1])
    return pattern == other
