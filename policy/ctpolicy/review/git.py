"""What a git repository holds at a revision. Objects are read, and nothing of the repository is run.

A review may be of a stranger's pull request, so git is asked as little as can be: `rev-parse`, `ls-tree` and `cat-file`
show what is stored, and know no hooks, filters, textconv, pagers or editors. Of the user's and the system's settings
only those are taken that say whose repositories to trust. Questions are not asked, nothing is fetched (not even what a
partial clone leaves out), and there is a deadline.

git is looked for where systems install it, and then in the absolute directories of PATH: what is relative there would
be a program of the repository that is looked at.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpolicy.errors import DeadlineError, HostError, InputError
from ctpolicy.language.diagnostics import harmless

PLACES: Final = ("/usr/bin", "/usr/local/bin", "/bin", "/opt/homebrew/bin", "/run/current-system/sw/bin")
DEADLINE: Final = 30.0
"""Seconds for one call. Each reads one object, or a line about it."""

_SYMBOLIC_LINK: Final = "120000"
_ENVIRONMENT: Final = {
    "LC_ALL": "C",
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # before git 2.45, which knows GIT_NO_LAZY_FETCH: no way to fetch by
    "GIT_PAGER": "cat",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as a tree lists it.

    Args:
        name: of the object that holds the content.
        size: bytes of it.
        is_link: whether it is a symbolic link, and the content where that leads.
    """

    name: str
    size: int
    is_link: bool


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository around a directory.

    Args:
        directory: from which it is found.
        prefix: the directory in the repository; empty, or with a slash at its end.
        settings: what git is told beside that: whom the user trusts.
    """

    directory: Path
    prefix: str
    settings: tuple[str, ...] = ()

    @classmethod
    def around(cls, directory: Path) -> Repository:
        """The repository that a directory is in.

        Raises:
            InputError: it is in none, or in one that git does not trust.
            HostError: there is no git.
        """
        asked = ("rev-parse", "--show-prefix")
        done = _git(directory, (), *asked)
        settings: tuple[str, ...] = ()
        if _is_distrusted(done):
            settings = _trusted_by_the_user()
            done = _git(directory, settings, *asked)
        if done.returncode:
            raise _no_repository(directory, done)
        prefix = os.fsdecode(done.stdout.removesuffix(b"\n"))
        if _git(directory, settings, "rev-parse", "--is-inside-work-tree").stdout.strip() != b"true":
            raise InputError(f"{_shown(directory)} is not in the working tree of a git repository.")
        return cls(directory, prefix, settings)

    def commit(self, revision: str) -> str:
        """The name of the commit that a revision is.

        Raises:
            InputError: there is none.
        """
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        name = found.stdout.decode("ascii", "replace").strip()
        if found.returncode or not name:
            raise self._no_revision(revision)
        return name

    def file(self, commit: str, path: str) -> File | None:
        """What a path, from the top of the repository, is at a commit; None if it is no file there."""
        listed = self._git("ls-tree", "-z", "-l", "--full-tree", commit, "--", path)
        if listed.returncode:
            raise InputError(
                f"git could not list {commit[:12]}: {_said(listed)}. The repository is damaged or partial."
            )
        entry, _, name = listed.stdout.rstrip(b"\0").partition(b"\t")
        if os.fsdecode(name) != path:
            return None
        mode, kind, identity, size = entry.decode("ascii").split()
        return File(identity, int(size), mode == _SYMBOLIC_LINK) if kind == "blob" else None

    def content(self, file: File) -> bytes:
        """The bytes of a file.

        Raises:
            InputError: the repository does not hold them.
        """
        found = self._git("cat-file", "blob", file.name)
        if found.returncode:
            message = f"git could not read the object {file.name[:12]}: {_said(found)}."
            raise InputError(f"{message} Fetch it first: a partial clone is not completed by a review.")
        return found.stdout

    def _no_revision(self, revision: str) -> InputError:
        message = f"There is no git revision `{harmless(revision)}`"
        if self._git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
            return InputError(
                f"{message} in this shallow clone. Fetch the history: `fetch-depth: 0` for actions/checkout, "
                "`GIT_DEPTH: 0` in GitLab CI, or `git fetch --unshallow`."
            )
        return InputError(f"{message} around {_shown(self.directory)}. Fetch it, or name another.")

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return _git(self.directory, self.settings, *arguments)


def find_git(path: str | None = None) -> str:
    """The git program.

    Args:
        path: what PATH is; None for the environment's.

    Raises:
        HostError: there is none.
    """
    named = (os.environ.get("PATH", "") if path is None else path).split(os.pathsep)
    for directory in (*PLACES, *(one for one in named if one.startswith("/"))):
        program = Path(directory, "git")
        if program.is_file() and os.access(program, os.X_OK):
            return str(program)
    raise HostError("git is not installed, and without it no revision can be read: install git, or name files as base.")


def _git(directory: Path, settings: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    options = [option for setting in settings for option in ("-c", setting)]
    return _run(directory, _ENVIRONMENT, "--no-pager", "--literal-pathspecs", *options, *arguments)


def _run(directory: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 (no shell, absolute path, clean environment)
            [find_git(), *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE,
        )
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(f"git did not answer within {DEADLINE:g} seconds and was ended.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a name
        raise InputError(f"git could not be asked about {_shown(directory)}: {error}.") from error


def _trusted_by_the_user() -> tuple[str, ...]:
    """The directories that the user and the system have told git to trust, as settings.

    Only these settings are taken from there, and outside of the repository. git itself takes them from nowhere else,
    so that no repository can trust itself; it takes them from the command line since 2.38.
    """
    where = {key: value for key, value in os.environ.items() if key in {"HOME", "XDG_CONFIG_HOME"}}
    environment = {"LC_ALL": "C", "PATH": _ENVIRONMENT["PATH"], **where}
    found: list[str] = []
    for scope in ("--system", "--global"):
        done = _run(Path("/"), environment, "config", scope, "-z", "--get-all", "safe.directory")
        found += os.fsdecode(done.stdout).split("\0")[:-1]
    return tuple(f"safe.directory={directory}" for directory in found)


def _is_distrusted(done: subprocess.CompletedProcess[bytes]) -> bool:
    return done.returncode != 0 and b"dubious ownership" in done.stderr


def _no_repository(directory: Path, done: subprocess.CompletedProcess[bytes]) -> InputError:
    shown = _shown(directory)
    if _is_distrusted(done):
        top = _shown(directory.resolve())
        return InputError(
            f"git does not read the repository around {shown}, because it is somebody else's. Run the review as its "
            f"owner, or trust it: git config --global --add safe.directory {top} (the directory with .git in it)."
        )
    if b"not a git repository" in done.stderr:
        return InputError(f"{shown} is in no git repository, so no revision can be read: name files as base.")
    return InputError(f"git could not read the repository around {shown}: {_said(done)}.")


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
    return harmless(lines[-1].removeprefix("fatal: "))


def _shown(path: Path) -> str:
    return harmless(str(path.absolute()))
