"""A YAML document as a tree that knows where each of its parts stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.source import Source

Plain = bool | int | str | list["Plain"] | dict[str, "Plain"] | None
"""A node without its places, as JSON Schema sees it; None where a mistake stood."""


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """Where a node stands, counted from 0; `length` is 1 for what covers several lines."""

    source: Source
    line: int
    column: int
    length: int

    @property
    def place(self) -> Place:
        """Where it stands, for a diagnostic."""
        return self.source.place(self.line, self.column, self.length)


@dataclass(frozen=True, slots=True, eq=False)
class Scalar(_Node):
    """A value: text, an integer, true or false; None where a mistake has been told already."""

    value: bool | int | str | None

    def within(self, offset: int, length: int) -> Place:
        """The place of a part of the text, where the text stands in one line as it is; else of the whole."""
        line = self.source.lines[self.line] if self.line < len(self.source.lines) else ""
        for start in (self.column, self.column + 1):  # after the quotation mark, if there is one
            if isinstance(self.value, str) and self.value and line.startswith(self.value, start):
                return self.source.place(self.line, start + offset, length)
        return self.place


@dataclass(frozen=True, slots=True, eq=False)
class Sequence(_Node):
    """A list."""

    items: list[Node]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping(_Node):
    """Keys and values, in the order of the file. No key is there twice; `refused` are those that cannot be keys."""

    pairs: dict[str, tuple[Scalar, Node]]
    refused: list[Node] = field(default_factory=list)

    @property
    def is_torn(self) -> bool:
        """Whether keys have been refused, so that what is missing may have been meant to be there."""
        return bool(self.refused)

    def get(self, key: str) -> Node | None:
        """The value of a key, if it is there."""
        pair = self.pairs.get(key)
        return pair[1] if pair else None

    def key(self, key: str) -> Scalar:
        """The key itself, which must be there, for its place."""
        return self.pairs[key][0]

    def __iter__(self) -> Iterator[tuple[str, Scalar, Node]]:
        return ((name, key, value) for name, (key, value) in self.pairs.items())


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Plain:
    """A node without its places. Its depth is bounded by the reader, so recursion is too."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {name: plain(value) for name, (_, value) in node.pairs.items()}


def scalars(node: Node | None) -> list[Scalar]:
    """The scalars of a key that takes one value or a list of them."""
    match node:
        case Scalar():
            return [node]
        case Sequence():
            return [item for item in node.items if isinstance(item, Scalar)]
    return []
