"""The first stage: YAML text to a tree of nodes with places.

PyYAML's events are taken, not its loaders: they carry places, build nothing, and come one at a time, so that an alias
is refused before it can multiply anything (a 304-byte alias bomb walks out to 28 MB), and depth before it is reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from ctpolicy.language.diagnostics import Diagnostic, Related
from ctpolicy.language.head import POLICY, Form
from ctpolicy.language.mistakes import Mistakes, ValueMistake
from ctpolicy.language.nodes import Mapping, Node, Scalar, Sequence
from ctpolicy.language.source import Source, UnreadableError
from ctpolicy.language.surprises import plain_value

DEEPEST: Final = 20
"""Levels of nesting; the language has six."""

MOST_NODES: Final = 200_000
"""Keys, values and lists of one file; 10,000 entries have about 100,000."""

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")


def read(source: Source, mistakes: Mistakes, form: Form = POLICY) -> Mapping | None:
    """The tree of one file; None if there is none to go on with.

    What is refused inside the tree leaves a scalar without a value in its place.
    """
    try:
        root = _Builder(source, mistakes, form).build(yaml.parse(source.text, Loader=_LOADER))
    except UnreadableError as error:
        mistakes.add(error.diagnostic)
        return None
    except yaml.MarkedYAMLError as error:
        mistakes.add(_syntax_mistake(error, source))
        return None
    except yaml.YAMLError as error:  # the pure Python reader's own check of characters
        mistakes.tell(source.whole(), f"is not YAML: {str(error).splitlines()[0]}")
        return None
    except _TooMuchError as error:
        mistakes.add(error.diagnostic)
        return None
    if isinstance(root, Mapping):
        return root
    if root is None or (isinstance(root, Scalar) and root.value is None):
        mistakes.tell(source.whole(), "is empty", f"{form.noun}: {form.keys}")
    else:
        mistakes.tell(root, f"this is not {form.noun}", f"keys and their values: {form.keys}")
    return None


class _TooMuchError(Exception):
    """The document is refused as a whole."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Open:
    """A list or mapping that has begun. In a mapping, `key` waits for its value; `skip` if it is to be forgotten."""

    node: Sequence | Mapping
    key: Scalar | None = None
    skip: bool = False


@dataclass(slots=True)
class _Builder:
    """Events to nodes, without recursion."""

    source: Source
    mistakes: Mistakes
    form: Form
    open: list[_Open] = field(default_factory=list)
    root: Node | None = None
    nodes: int = 0

    def build(self, events: Iterator[Any]) -> Node | None:
        """The root of the first document."""
        documents = 0
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._put(self._scalar(event))
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin(event, Mapping if kind is yaml.MappingStartEvent else Sequence)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.open.pop()
            elif kind is yaml.AliasEvent:
                self._put(self._refused(event, "aliases (`*`) are not taken", "the value written out, or a group"))
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._tell(event, "a second document begins", "one document a file")
                    break
        return self.root

    def _put(self, node: Node) -> None:
        """Place a node where the document has come to: as the root, an item, a key, or a key's value."""
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise _TooMuchError(
                Diagnostic(
                    node.place,
                    f"there are more than {MOST_NODES} values",
                    "several files, or `file:` for a long list of addresses",
                )
            )
        if not self.open:
            self.root = node
            return
        around = self.open[-1]
        if isinstance(around.node, Sequence):
            around.node.items.append(node)
        elif around.key is None and not around.skip:
            self._put_key(around, around.node, node)
        else:
            if around.key is not None:
                around.node.pairs[str(around.key.value)] = (around.key, node)
            around.key, around.skip = None, False

    def _put_key(self, around: _Open, mapping: Mapping, key: Node) -> None:
        """Wait for the key's value; of a key that cannot be one, or that is there already, forget the value."""
        around.skip = True
        if not isinstance(key, Scalar):
            mapping.refused.append(key)
            self.mistakes.tell(key, "a list or mapping is not a key", "text before the `:`")
        elif key.value is not None and (name := str(key.value)) in mapping.pairs:
            first = Related(mapping.pairs[name][0].place, "it is here first")
            self.mistakes.tell(key, f"the key `{name[:40]}` is there twice", also=first)
        elif isinstance(key.value, str):
            around.key, around.skip = key, False
        else:
            mapping.refused.append(key)
            if key.value is not None:
                self.mistakes.tell(key, f"`{key.value}` is not a key", "text before the `:`")

    def _begin(self, event: Any, kind: type[Mapping] | type[Sequence]) -> None:
        self._check_bare(event)
        line, column, length = _span(event)
        if kind is Mapping:
            node: Sequence | Mapping = Mapping(self.source, line, column, length, {})
        else:
            node = Sequence(self.source, line, column, length, [])
        if len(self.open) >= DEEPEST:
            raise _TooMuchError(Diagnostic(node.place, f"this is more than {DEEPEST} levels deep", "less nesting"))
        self._put(node)
        self.open.append(_Open(node))

    def _scalar(self, event: Any) -> Scalar:
        if event.anchor is not None or event.tag is not None:
            self._check_bare(event)
        if event.style or not event.implicit[0]:  # libyaml has '' for plain, the Python parser None
            return Scalar(self.source, *_span(event), event.value)
        if self.form.takes_dates and _DATE.fullmatch(event.value):
            return Scalar(self.source, *_span(event), event.value)
        try:
            return Scalar(self.source, *_span(event), plain_value(event.value))
        except ValueMistake as mistake:
            return self._refused(event, mistake.message, mistake.expected, mistake.suggestion)

    def _check_bare(self, event: Any) -> None:
        if event.anchor is not None:
            self._tell(event, f"anchors (`&{event.anchor[:40]}`) are not taken", "the value alone")
        elif event.tag is not None:
            self._tell(event, f"tags (`{event.tag[:40]}`) are not taken", "the value alone")

    def _refused(self, event: Any, message: str, expected: str, suggestion: str = "") -> Scalar:
        self._tell(event, message, expected, suggestion)
        return Scalar(self.source, *_span(event), None)

    def _tell(self, event: Any, message: str, expected: str, suggestion: str = "") -> None:
        self.mistakes.tell(self.source.place(*_span(event)), message, expected, suggestion)


def _span(event: Any) -> tuple[int, int, int]:
    """Line, column and length of an event, from 0; what covers several lines is as long as its first character."""
    start, end = event.start_mark, event.end_mark
    line, column = start.line, start.column
    return line, column, end.column - column if end.line == line else 1


_SYNTAX: Final = {
    "did not find expected alphabetic or numeric character": (
        "a bare `*` or `&` stands for something else in YAML",
        'quotation marks: "*"',
    ),
    "mapping values are not allowed in this context": (
        "a `:` does not fit here",
        "a key of its own line, or quotation marks",
    ),
    "found unexpected end of stream": ("a quotation mark is missing", "the mark that ends this text"),
    "did not find expected ',' or ']'": ("a `]` or `,` is missing", "the end of the list that begins here"),
    "did not find expected ',' or '}'": ("a `}` or `,` is missing", "the end of the mapping that begins here"),
    "did not find expected '-' indicator": (
        "this is neither an item of the list before it nor outside it",
        "the same indentation as its neighbours",
    ),
    "did not find expected key": (
        "this is neither a key of the mapping before it nor outside it",
        "the same indentation as its neighbours",
    ),
    "could not find expected ':'": ("a `:` is missing", "`key: value`"),
}
"""libyaml's words for what people often do, in ours; and whether the place is where the construct began."""

_AT_ITS_BEGINNING: Final = {
    "found unexpected end of stream",
    "did not find expected ',' or ']'",
    "did not find expected ',' or '}'",
    "did not find expected alphabetic or numeric character",
}


def _syntax_mistake(error: yaml.MarkedYAMLError, source: Source) -> Diagnostic:
    problem = error.problem or "not YAML"
    mark = error.problem_mark or error.context_mark
    if problem in _AT_ITS_BEGINNING and error.context_mark:
        mark = error.context_mark
    place = source.place(mark.line, mark.column) if mark else source.whole()
    if problem == "found character that cannot start any token":
        return _bad_beginning(Diagnostic(place, ""))
    message, expected = _SYNTAX.get(problem, (f"this is not YAML: {problem}", ""))
    return Diagnostic(place, message, expected)


def _bad_beginning(at: Diagnostic) -> Diagnostic:
    character = at.place.text[at.column - 1 : at.column]
    if character == "\t":
        return Diagnostic(at.place, "a tab does not indent YAML", "spaces")
    return Diagnostic(at.place, f"text cannot begin with `{character}`", "quotation marks around the text")
