"""Policy files as text, read with a bound on their size and checked to be text that people can see."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

from ctpolicy.language.diagnostics import Diagnostic, Place
from ctpolicy.language.trust import UntrustedError, Writers, open_trusted

LARGEST_POLICY: Final = 4 << 20
"""Bytes of a policy file. 10,000 entries take 0.9 MB; longer address lists belong in a `file:`."""

LARGEST_LIST: Final = 64 << 20
"""Bytes of an address list."""

_NOT_TEXT: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
    "|\r(?!\n)"
)
"""Controls, which can hide text from a reviewer: YAML 1.1's odd line ends, and what turns the direction of text."""


ListReader = Callable[[Path, Path], str]
"""How the text of an address list is found: by its path, and the directory that it must be in; see read_list."""


class UnreadableError(Exception):
    """A file cannot be taken as text. Who named the file must act; the diagnostic says why."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def read_list(path: Path, within: Path, writers: Writers | None = None) -> str:
    """The text of an address list.

    Only a regular file in or below `within` is read, after symbolic links: a policy may come from a stranger, and
    neither a device or pipe that never ends, nor lines of another file shown in a diagnostic, may come of it.

    Raises:
        UnreadableError: it is not there, elsewhere, not a regular file, too large, not text, or could have been written
            by others than `writers`.
    """
    try:
        resolved = path.resolve()
        is_elsewhere = not resolved.is_relative_to(within.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(str(path), _reason(error)) from error
    if is_elsewhere:
        raise _unreadable(str(path), "is outside the policy's directory")
    with _opened(path, resolved, writers, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _unreadable(str(path), "is not a regular file")
        content = file.read(LARGEST_LIST + 1)
    return readable_text(content, str(path), LARGEST_LIST)


class KeptLists:
    """Reads address lists as read_list does, each once, and keeps their texts."""

    def __init__(self, writers: Writers | None = None) -> None:
        self.texts: dict[str, str] = {}
        self._writers = writers

    def __call__(self, path: Path, within: Path) -> str:
        """The text of a list; raises as read_list does."""
        if str(path) not in self.texts:
            self.texts[str(path)] = read_list(path, within, self._writers)
        return self.texts[str(path)]


def given_lists(texts: Mapping[str, str]) -> ListReader:
    """Takes address lists from texts that were kept, by path, and reads no file."""

    def read(path: Path, within: Path) -> str:  # noqa: ARG001 (a text is nowhere)
        if str(path) not in texts:
            raise _unreadable(str(path), "is not among the texts that were kept")
        return readable_text(texts[str(path)], str(path), LARGEST_LIST)

    return read


@dataclass(frozen=True)
class Source:
    """One policy file.

    Args:
        name: as the user named it; for diagnostics.
        content: as it was read.
        directory: what the paths of `file:` are relative to; None where there are none.
        read_list: reads the address lists that it names.
    """

    name: str
    content: bytes | str
    directory: Path | None = None
    read_list: ListReader = read_list

    @cached_property
    def text(self) -> str:
        """The content as text.

        Raises:
            UnreadableError: it is too large, not UTF-8, or has control characters.
        """
        return readable_text(self.content, self.name, LARGEST_POLICY)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, without their ends."""
        return self.text.replace("\r\n", "\n").split("\n")

    def place(self, line: int, column: int, length: int = 1) -> Place:
        """A place in this file, all counted from 0; a position past the last line is moved to its end."""
        if line >= len(self.lines):
            line, column = len(self.lines) - 1, len(self.lines[-1])
        return Place(self.name, line + 1, column + 1, max(length, 1), self.lines[line])

    def whole(self) -> Place:
        """This file, as a whole."""
        return Place(self.name)


def read_policy(path: Path, lists: ListReader = read_list, writers: Writers | None = None) -> Source:
    """The source that a policy file is.

    Args:
        path: the file's.
        lists: reads the address lists that it names.
        writers: who alone may be able to write it; None to take anybody's.

    Raises:
        UnreadableError: it is not there, cannot be read, or could have been written by others than `writers`.
    """
    with _opened(path, path, writers, os.O_RDONLY | os.O_CLOEXEC) as file:
        return Source(str(path), file.read(LARGEST_POLICY + 1), path.parent, lists)


@contextmanager
def _opened(path: Path, resolved: Path, writers: Writers | None, flags: int) -> Iterator[BinaryIO]:
    """A file, or one that only `writers` could have written; what the system refuses is told of the path."""
    try:
        descriptor = os.open(resolved, flags) if writers is None else open_trusted(path, writers)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            yield file
    except UntrustedError as error:
        message = f"could be changed by others, and with it this host: {error}"
        expected = f"that only root, and whoever asked root by sudo, can: {error.remedy}"
        raise UnreadableError(Diagnostic(Place(str(path)), message, expected)) from error
    except (OSError, ValueError) as error:
        raise _unreadable(str(path), _reason(error)) from error


def readable_text(content: bytes | str, name: str, largest: int) -> str:
    """The content as text, a byte order mark at its beginning left out.

    Raises:
        UnreadableError: it is larger than `largest` bytes, not UTF-8, or has control characters.
    """
    if len(content) > largest:
        raise _unreadable(name, f"is larger than {largest >> 20} MiB")
    text = _decoded(content, name).removeprefix("\ufeff")
    if found := _NOT_TEXT.search(text):
        place = place_at(text, found.start(), name)
        raise UnreadableError(
            Diagnostic(place, f"control character U+{ord(found.group()):04X}", "text without control characters")
        )
    return text


def place_at(text: str, offset: int, name: str) -> Place:
    """The place of the character at an offset into a file's text."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    line = text[start : end if end >= 0 else len(text)].rstrip("\r")
    return Place(name, text.count("\n", 0, offset) + 1, offset - start + 1, 1, line)


def _decoded(content: bytes | str, name: str) -> str:
    if isinstance(content, str):
        return content
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        readable = content.decode("utf-8", "replace")
        place = place_at(readable, len(content[: error.start].decode("utf-8")), name)
        message = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise UnreadableError(Diagnostic(place, message, "the file saved as UTF-8")) from error


def _unreadable(name: str, reason: str) -> UnreadableError:
    return UnreadableError(Diagnostic(Place(name), reason))


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {text}"
