"""Where the stages of reading a policy put the mistakes that they find, so that all can be told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from ctpolicy.language.diagnostics import Diagnostic, Place, Related, nearest
from ctpolicy.language.nodes import Scalar

Value = TypeVar("Value")


class Placed(Protocol):
    """Anything that stands somewhere in a file."""

    @property
    def place(self) -> Place:
        """Where it stands."""


class ValueMistake(ValueError):  # noqa: N818 (the author's mistake, told as a diagnostic; not an error of ours)
    """A value that does not mean anything here. The author of the policy must act.

    Attributes:
        message: what is wrong, without a final stop.
        expected: what would be right.
        suggestion: what was probably meant.
        offset: where in the value's text it is wrong.
        length: of the wrong part; None for the rest of the value.
    """

    def __init__(
        self, message: str, expected: str = "", suggestion: str = "", offset: int = 0, length: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.suggestion = suggestion
        self.offset = offset
        self.length = length


MOST_KEPT: Final = 500
"""Mistakes of one stage that are kept, lest a hostile file fill the memory; more are counted."""

MOST_SUGGESTED: Final = 100
"""Mistakes of one stage for which something like the wrong word is looked for."""


@dataclass(slots=True)
class Mistakes:
    """The mistakes that one stage has found so far.

    Args:
        kept: the first of them.
        count: how many there are.
    """

    kept: list[Diagnostic] = field(default_factory=list)
    count: int = 0

    def tell(
        self, where: Placed | Place, message: str, expected: str = "", suggestion: str = "", also: Related | None = None
    ) -> None:
        """Note a mistake at a place."""
        place = where if isinstance(where, Place) else where.place
        self.add(Diagnostic(place, message, expected, suggestion, also))

    def nearest(self, word: str, candidates: Iterable[str]) -> str:
        """What was probably meant by a word; not looked for any more after many mistakes, because looking is slow."""
        return nearest(word, candidates) if self.count < MOST_SUGGESTED else ""

    def add(self, diagnostic: Diagnostic) -> None:
        """Note a mistake."""
        self.count += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(diagnostic)

    def parsed(self, item: Scalar, parse: Callable[[str], Value]) -> Value | None:
        """What text or an integer means; None if it means nothing, which is told at the wrong part of the text.

        A scalar of another type is passed over: the schema's stage tells it.
        """
        if item.value is None or isinstance(item.value, bool):
            return None
        text = str(item.value)
        try:
            return parse(text)
        except ValueMistake as mistake:
            length = len(text) - mistake.offset if mistake.length is None else mistake.length
            place = item.within(mistake.offset, length)
            self.tell(place, mistake.message, mistake.expected, mistake.suggestion)
            return None


def settle(stages: Sequence[Mistakes]) -> list[Diagnostic]:
    """All mistakes sorted by place, one for each: where stages disagree about a place, the first stage is told."""
    told: dict[tuple[str, int, int], Diagnostic] = {}
    for stage in stages:
        for diagnostic in stage.kept:
            told.setdefault((diagnostic.file, diagnostic.line, diagnostic.column), diagnostic)
    found = [told[place] for place in sorted(told)]
    if more := sum(stage.count - len(stage.kept) for stage in stages):
        found.append(Diagnostic(Place(found[-1].file), f"has up to {more} more mistakes"))
    return found
