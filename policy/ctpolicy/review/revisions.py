"""What a review compares with: the same policies at a git revision, or other files.

At a revision, everything is read from its tree: the policies, and the address lists that they name by `file:`. Nothing
there is followed out of it: a symbolic link is refused, not read, and a list must be in the policy's directory or below
it, as everywhere (decision 0005). Sizes are asked before contents are read.
"""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ctpolicy.errors import InputError
from ctpolicy.language.diagnostics import Diagnostic, Place, PolicyError, harmless
from ctpolicy.language.source import (
    LARGEST_LIST,
    LARGEST_POLICY,
    ListReader,
    Source,
    UnreadableError,
    read_policy,
    readable_text,
)
from ctpolicy.review.git import Repository


@dataclass(frozen=True, slots=True)
class Base:
    """What is compared with.

    Args:
        words: `revision 1a2b3c4d5e6f (main)`, or `files old.yaml, more.yaml`.
        sources: the policies; empty if none of the reviewed ones is in the revision: then all of them are new, and the
            base is a policy without entries.
        new: the reviewed policies that are not in the revision.
    """

    words: str
    sources: tuple[Source, ...]
    new: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AtRevision:
    """Policies at a revision.

    Args:
        commits: the commits that it is, one for each repository that they are in.
        sources: those that are there.
        missing: the names of those that are not.
    """

    commits: tuple[str, ...]
    sources: tuple[Source, ...]
    missing: tuple[str, ...]


def read_base(names: Sequence[str], paths: Sequence[Path]) -> Base:
    """What `--base` names: files if there are such files, else one revision of the reviewed policies.

    Raises:
        InputError: neither is there; or it is files and a revision, or several revisions.
        PolicyError: it is there and cannot be read: too large, no file, a symbolic link.
        HostError: there is no git.
        DeadlineError: git does not answer.
    """
    files = [name for name in names if Path(name).is_file()]
    if len(files) == len(names):
        return _files(files)
    if files or len(names) > 1:
        shown = ", ".join(f"`{harmless(name)}`" for name in names if name not in files)
        raise InputError(f"--base takes files, or one revision. These are no files: {shown}.")
    try:
        found = sources_at(names[0], paths)
    except PolicyError:
        raise
    except InputError as error:
        raise InputError(f"`{harmless(names[0])}` is no file. {error}") from error
    return Base(_revision_words(names[0], found.commits), found.sources, found.missing)


def sources_at(revision: str, paths: Sequence[Path]) -> AtRevision:
    """Policies as they are at a revision of the repository that each is in; raises as read_base does."""
    commits: list[str] = []
    sources: list[Source] = []
    missing: list[str] = []
    wrong: list[Diagnostic] = []
    for path in paths:
        tree = _Tree.of(revision, path)
        commits.append(tree.commit)
        try:
            content = tree.read(path.name, LARGEST_POLICY)
        except UnreadableError as error:
            wrong.append(error.diagnostic)
            continue
        if content is None:
            missing.append(str(path))
        else:
            sources.append(Source(tree.named(path.name), content, path.parent, tree.list_reader()))
    if wrong:
        raise PolicyError(wrong)
    return AtRevision(tuple(dict.fromkeys(commits)), tuple(sources), tuple(missing))


@dataclass(frozen=True, slots=True)
class _Tree:
    """The directory of a policy, at a commit."""

    repository: Repository
    commit: str

    @classmethod
    def of(cls, revision: str, path: Path) -> _Tree:
        directory = path.parent
        if not directory.is_dir():
            raise InputError(f"{harmless(str(directory))} is no directory, so there is no repository around it.")
        repository = Repository.around(directory)
        return cls(repository, repository.commit(revision))

    def named(self, path: str) -> str:
        """A file of it as diagnostics name it, which is as git does."""
        return f"{self.commit[:12]}:{self.repository.prefix}{path}"

    def read(self, path: str, largest: int) -> bytes | None:
        """The content of a file; None if there is none.

        Raises:
            UnreadableError: it is a symbolic link, or larger than so many bytes.
        """
        file = self.repository.file(self.commit, self.repository.prefix + path)
        if file is None:
            return None
        if file.is_link:
            raise self._unreadable(path, "is a symbolic link, which is not followed in a revision")
        if file.size > largest:
            raise self._unreadable(path, f"is larger than {largest >> 20} MiB")
        return self.repository.content(file)

    def list_reader(self) -> ListReader:
        """Reads the address lists of the policy, at the same commit; see language.source.read_list."""

        def read(path: Path, within: Path) -> str:
            below = _below(path, within)
            if below is None:
                raise UnreadableError(Diagnostic(Place(str(path)), "is outside the policy's directory"))
            content = self.read(below, LARGEST_LIST)
            if content is None:
                raise self._unreadable(below, f"is not a file of revision {self.commit[:12]}")
            return readable_text(content, self.named(below), LARGEST_LIST)

        return read

    def _unreadable(self, path: str, reason: str) -> UnreadableError:
        return UnreadableError(Diagnostic(Place(self.named(path)), reason))


def _below(path: Path, within: Path) -> str | None:
    """A path from a directory on, by the names alone; None if it leads out of it. A tree has no links to follow."""
    below = os.path.normpath(os.path.relpath(os.path.abspath(path), os.path.abspath(within)))  # noqa: PTH100
    return None if PurePosixPath(below).parts[:1] == ("..",) else below


def _files(names: Sequence[str]) -> Base:
    sources: list[Source] = []
    wrong: list[Diagnostic] = []
    for name in names:
        try:
            sources.append(read_policy(Path(name)))
        except UnreadableError as error:
            wrong.append(error.diagnostic)
    if wrong:
        raise PolicyError(wrong)
    shown = ", ".join(map(harmless, names))
    return Base(f"{'file' if len(names) == 1 else 'files'} {shown}", tuple(sources))


def _revision_words(revision: str, commits: Sequence[str]) -> str:
    short = ", ".join(commit[:12] for commit in commits)
    named = "" if all(commit.startswith(revision) for commit in commits) else f" ({harmless(revision)})"
    return f"{'revision' if len(commits) == 1 else 'revisions'} {short}{named}"
