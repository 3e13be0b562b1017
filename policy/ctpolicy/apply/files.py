"""The door to what ctpolicy keeps on disk: directories of its own, in which a file is whole or not there at all.

Everything goes by a directory's descriptor and a plain name, so no symbolic link is followed and nothing that is
renamed meanwhile leads elsewhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ctpolicy.errors import InputError, StateError

_LARGEST: Final = 256 << 20
"""Bytes of one file; a snapshot of 100,000 prefixes is 0.3 MB."""

_OTHERS: Final = 0o077


class Directory:
    """One directory, which only whoever runs ctpolicy can read or write.

    Args:
        path: an absolute path; for messages, and to open it.

    Raises:
        FileNotFoundError: it is not there.
        StateError: it is a link, belongs to somebody else, is open to others, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _told("read", path):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
            self.close()
            raise StateError(
                f"{path} is not ctpolicy's alone (owner {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}), so "
                f"what is in it cannot be trusted. Look who did that, then: chown {os.geteuid()} {path}; "
                f"chmod 0700 {path}"
            )

    @classmethod
    def made(cls, path: Path) -> Directory:
        """The same, made with mode 0700 if it is not there, as are those above it."""
        with _told("made", path):
            for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
                missing.mkdir(0o700, exist_ok=True)
        return cls(path)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def names(self) -> list[str]:
        """The names in it, sorted, but those of files that were never finished."""
        with _told("read", self.path):
            return sorted(
                name
                for name in os.listdir(self._descriptor)  # noqa: PTH208 (a descriptor, not a path)
                if not name.startswith(".")
            )

    def read(self, name: str) -> bytes:
        """A file's content.

        Raises:
            FileNotFoundError: it is not there.
            StateError: it cannot be read, or is no regular file.
        """
        with _told("read", self.path / name):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
            with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                content = file.read(_LARGEST + 1)
                if len(content) > _LARGEST:
                    raise OSError(errno.EFBIG, "too large")
                return content

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, in the place of another of its name: after a crash it is the old one or the new."""
        new = f".{name}.{os.getpid()}"
        with _told("written", self.path / name):
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
                with open(os.open(new, flags, 0o600, dir_fd=self._descriptor), "wb") as file:  # noqa: PTH123
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(new, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            except OSError:
                self._forget(new)
                raise
            os.fsync(self._descriptor)

    def take(self, source: Directory, name: str, as_name: str) -> None:
        """Have a file of another directory here too, in the place of what had that name. It takes no room."""
        new = f".{as_name}.{os.getpid()}"
        with _told("written", self.path / as_name):
            self._forget(new)
            os.link(name, new, src_dir_fd=source._descriptor, dst_dir_fd=self._descriptor, follow_symlinks=False)
            os.rename(new, as_name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            self._forget(new)  # rename does nothing if both are one file already
            os.fsync(self._descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give something here another name, at once and for good."""
        with _told("written", self.path / new):
            os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
            os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        """Take a directory and all that is in it away."""
        with _told("removed", self.path / name):
            shutil.rmtree(name, dir_fd=self._descriptor)

    def _forget(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return


@contextmanager
def _told(done: str, path: Path) -> Iterator[None]:
    """What the system refuses, as our error with the path and a remedy; that something is not there stays as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "")
        raise StateError(f"{path} cannot be {done}: {error.strerror or error}.{remedy}") from error


_REMEDIES: Final = {
    errno.ENOSPC: " Make room there.",
    errno.EDQUOT: " Make room there.",
    errno.EROFS: " Mount it writable, or say with --state where else to keep it.",
    errno.EACCES: " Run this as root, or say with --state where else to keep it.",
    errno.EPERM: " Run this as root, or say with --state where else to keep it.",
    errno.ELOOP: " It is a symbolic link, which is never followed here: put what it leads to in its place.",
    errno.ENOTDIR: " Something else stands where a directory is wanted: move it away.",
}


def write_file(path: Path, content: bytes) -> None:
    """Put a file where a user wants one: whole or not at all, and for that user alone.

    A file that is there is replaced; a link is not followed, and nothing but a file is replaced.

    Raises:
        InputError: it cannot be put there.
    """
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError(errno.EEXIST, "a link or something else that is no file stands there")
        descriptor, new = tempfile.mkstemp(prefix=".ctpolicy-", dir=path.parent)  # with mode 0600
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, not a path)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(new).replace(path)
        except OSError:
            Path(new).unlink()
            raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
