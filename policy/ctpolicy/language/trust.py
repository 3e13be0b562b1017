"""Whose files root may act on: nobody's who could not do the same without us.

Root that applies a policy which somebody else can write hands them the host's packet filter. So each directory and link
on the way to the file is looked at, and the file itself: by the descriptor through which the next one is opened, and in
the end read, so that nothing can be put in another's place after it was looked at. A sticky directory, such as /tmp,
may be written by everybody, because what is in it can be replaced by its owner alone.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_GIVEN: Final = re.compile(r"/dev/stdin|/dev/fd/\d+|/proc/self/fd/\d+")
"""What whoever started us has opened: a pipe, or a file that may have no name any more."""

_MOST_LINKS: Final = 40
_WHOLE: Final = ["0", "0", "4294967295"]
_FOR_READING: Final = os.O_RDONLY | os.O_CLOEXEC


class UntrustedError(Exception):
    """Somebody could change what was to be acted on.

    Attributes:
        remedy: commands that change that.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Writers:
    """Who may write what we are to act on.

    Args:
        users: their numbers.
        groups: the numbers of groups in which there is nobody else.
    """

    users: frozenset[int]
    groups: frozenset[int]

    def fault(self, found: os.stat_result) -> str:
        """Who else may write a file, link or directory, as the end of a sentence; nothing if nobody."""
        if found.st_uid not in self.users:
            return f"belongs to user {found.st_uid}"
        if stat.S_ISLNK(found.st_mode) or (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
            return ""
        if found.st_mode & stat.S_IWOTH:
            return "may be written by everybody"
        if found.st_mode & stat.S_IWGRP and found.st_gid not in self.groups:
            return f"may be written by group {found.st_gid}"
        return ""


ROOT: Final = Writers(frozenset({0}), frozenset({0}))
"""Root alone: for what runs unasked."""


def whoever_asked() -> Writers:
    """Root, and whoever asked root by sudo to do this.

    Whose group has their own number is alone in it, as distributions make users, and mostly makes files that the group
    may write. In a user namespace, whom it does not know owns what is outside: its root could not be more careful, and
    can do nothing to others' packets.
    """
    users, groups = {0, os.geteuid()}, {0}
    asked = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and asked.isascii() and asked.isdecimal():
        users.add(int(asked))
        if os.environ.get("SUDO_GID") == asked:
            groups.add(int(asked))
    if (outside := _unknown_user()) is not None:
        users.add(outside)
    return Writers(frozenset(users), frozenset(groups))


def open_trusted(path: Path, writers: Writers) -> int:
    """A descriptor to read a file from that nobody but `writers` could have changed, or can put another in place of.

    Raises:
        UntrustedError: somebody could.
        OSError: it cannot be opened.
    """
    if _GIVEN.fullmatch(str(path)):
        return _checked(os.open(path, _FOR_READING), path, writers)
    with _walk(path, writers) as (directory, name, shown):
        flags = _FOR_READING | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = _checked(os.open(name, flags, dir_fd=directory), shown, writers)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return descriptor


def check_trusted(path: Path, writers: Writers) -> None:
    """Look at a file or directory that is there, and at what is above it, without reading it; raises as above."""
    with _walk(path, writers):
        return


@contextmanager
def _walk(path: Path, writers: Writers) -> Iterator[tuple[int, str, Path]]:
    """Go to where a file is: the descriptor of its directory, its name there, and its path without links."""
    directory, shown = _root(writers), Path("/")
    ahead, links = _names(path), 0
    try:
        name = "."
        while ahead:
            name = ahead.pop()
            here = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            try:
                found = _look(here, shown / name, writers)
                if stat.S_ISLNK(found.st_mode):
                    links += 1
                    target = Path(os.readlink("", dir_fd=here))
                    ahead += _names(target, beside=True)
                    if target.is_absolute():
                        directory, shown = _instead(directory, _root(writers)), Path("/")
                elif ahead:
                    directory, shown = _instead(directory, os.dup(here)), shown / name
            finally:
                os.close(here)
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        yield directory, name, shown / name
    finally:
        os.close(directory)


def _names(path: Path, beside: bool = False) -> list[str]:
    """The names on a path, the last first."""
    whole = path if beside else path.absolute()
    return [name for name in reversed(whole.parts) if name != "/"]


def _root(writers: Writers) -> int:
    return _checked(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), Path("/"), writers)


def _instead(old: int, new: int) -> int:
    os.close(old)
    return new


def _checked(descriptor: int, path: Path, writers: Writers) -> int:
    try:
        _look(descriptor, path, writers)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _look(descriptor: int, path: Path, writers: Writers) -> os.stat_result:
    found = os.fstat(descriptor)
    if fault := writers.fault(found):
        remedy = f"chmod go-w {path}" if "written" in fault else f"chown {_owner(found)} {path}"
        raise UntrustedError(f"{path} {fault}", remedy)
    return found


def _owner(found: os.stat_result) -> str:
    return "-h root" if stat.S_ISLNK(found.st_mode) else "root"


def _unknown_user() -> int | None:
    """The number that stands for those whom our user namespace does not know; None if it knows all."""
    try:
        if Path("/proc/self/uid_map").read_text().split() == _WHOLE:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except OSError:  # no /proc, or a kernel without user namespaces
        return None
