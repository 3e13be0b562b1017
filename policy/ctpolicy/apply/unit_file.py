"""The door to the directories of systemd: our unit is written there, and looked for, whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

import ctpolicy
from ctpolicy.apply.service import FLUSHING, MARK, NAME, Service
from ctpolicy.errors import HostError, InputError
from ctpolicy.language.trust import ROOT, UntrustedError, Writers, check_trusted

UNITS: Final = Path("/etc/systemd/system")
"""Where an administrator's units are."""

_ALL_UNITS: Final = (
    UNITS,
    *map(Path, ("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")),
)
_LARGEST: Final = 1 << 20
_MODE: Final = 0o644


def this_service(
    command: Path, legacy: bool, directories: Sequence[Path] = _ALL_UNITS, writers: Writers = ROOT
) -> Service:
    """What the unit has to know of this host, if root may run the command unasked.

    Args:
        command: an absolute path.
        legacy: whether iptables-legacy is what keeps the rules.
        directories: with the units of this host.
        writers: who may be able to change what is run.

    Raises:
        InputError: the command is not there, or somebody else could put another in its place.
    """
    interpreter = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent}
    package = Path(ctpolicy.__file__).resolve().parent
    needs = sorted(path for path in {*interpreter, package} if not path.is_relative_to("/usr"))
    for path in (command, *needs):
        _check(path, writers)
    if not (command.is_file() and os.access(command, os.X_OK)):
        raise InputError(f"{command} is no command that can be run. Say with --command where ctpolicy is.")
    beside = tuple(name for name in FLUSHING if any((directory / name).exists() for directory in directories))
    return Service(PurePosixPath(command), tuple(map(PurePosixPath, needs)), beside, legacy)


def write_unit(text: str, directory: Path = UNITS) -> Path:
    """Put the unit there, in the place of one that we wrote before.

    Raises:
        HostError: it cannot be written, or another's unit has its name.
    """
    path, new = directory / NAME, f".{NAME}.{os.getpid()}"
    try:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _refuse_foreign(opened, path)
            _write(opened, new, text)
            os.rename(new, NAME, src_dir_fd=opened, dst_dir_fd=opened)
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        raise HostError(f"{path} cannot be written: {error.strerror}.{_remedy(error)}") from error
    return path


def remove_unit(directory: Path = UNITS) -> Path | None:
    """Take our unit away; None if there is none.

    Raises:
        HostError: it is enabled, somebody else's, or cannot be removed.
    """
    path = directory / NAME
    try:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not _refuse_foreign(opened, path):
                return None
            if links := sorted(str(link) for link in directory.glob(f"*.*/{NAME}")):
                raise HostError(
                    f"{path} is enabled ({', '.join(links)}). First: systemctl disable --now ctpolicy. That removes no "
                    "rules."
                )
            os.unlink(NAME, dir_fd=opened)
        finally:
            os.close(opened)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"{path} cannot be removed: {error.strerror}.{_remedy(error)}") from error
    return path


def _refuse_foreign(directory: int, path: Path) -> bool:
    """Whether there is a unit of ours.

    Raises:
        HostError: there is something else of its name, such as a link to /dev/null, which masks the unit.
    """
    try:
        if stat.S_ISLNK(os.stat(NAME, dir_fd=directory, follow_symlinks=False).st_mode):
            raise HostError(f"{path} is a symbolic link, which ctpolicy did not make: systemctl unmask ctpolicy")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(NAME, flags, dir_fd=directory), "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            first = file.read(_LARGEST).partition(b"\n")[0]
    except FileNotFoundError:
        return False
    if first != MARK.encode():
        raise HostError(f"{path} is there, and ctpolicy did not write it. Move it away if it is not wanted.")
    return True


def _write(directory: int, name: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, _MODE, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, not a path)
            file.write(text.encode())
            file.flush()
            os.fchmod(descriptor, _MODE)  # whatever the umask is
            os.fsync(descriptor)
    except BaseException:
        os.unlink(name, dir_fd=directory)
        raise


def _check(path: Path, writers: Writers) -> None:
    try:
        check_trusted(path, writers)
    except UntrustedError as error:
        raise InputError(
            f"Root would run {path} at boot, and others could change it: {error}. Install ctpolicy for root alone "
            f"(python3 -m venv /opt/ctpolicy), or: {error.remedy}"
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be looked at: {error.strerror}.") from error


def _remedy(error: OSError) -> str:
    return " Run this as root (sudo)." if isinstance(error, PermissionError) else ""
