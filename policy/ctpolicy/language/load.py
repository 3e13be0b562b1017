"""Policy files to a `Policy`, or all their mistakes at once.

    sources ──reading──▶ trees ──schema──▶ (mistakes of shape)
                           └────meaning of values────▶ Policy

Each stage goes on after a mistake. Where several stages find fault with one place, the one is told that knows best:
reading before meaning, meaning before the schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ctpolicy.language.diagnostics import Diagnostic, Place, PolicyError
from ctpolicy.language.document import understand
from ctpolicy.language.expectations import Tried, try_expectations
from ctpolicy.language.mistakes import Mistakes, settle
from ctpolicy.language.policy import Entry, Policy
from ctpolicy.language.ports import merged
from ctpolicy.language.reading import read
from ctpolicy.language.schema import check_shape
from ctpolicy.language.source import (
    KeptLists,
    ListReader,
    Source,
    UnreadableError,
    given_lists,
    read_list,
    read_policy,
)
from ctpolicy.language.trust import Writers


def load_files(paths: Sequence[Path], writers: Writers | None = None) -> Policy:
    """The union of the policies in files.

    Args:
        paths: of the files.
        writers: who alone may be able to write them and the lists that they name, because something is to be done as
            they say; None to take anybody's, to look at them.

    Raises:
        PolicyError: with every mistake of every file.
    """
    mistakes = Mistakes()
    return _load(sources_of(paths, partial(read_list, writers=writers), mistakes, writers), mistakes)


@dataclass(frozen=True, slots=True)
class Texts:
    """All that a policy was read from, so that it can be read again where the files are not, or not as they were.

    Args:
        policies: the path, as it was given, and text of each policy file.
        lists: the path and text of each address list that they name, by path.
    """

    policies: tuple[tuple[str, str], ...]
    lists: tuple[tuple[str, str], ...]


def load_and_keep(paths: Sequence[Path], writers: Writers | None = None) -> tuple[Policy, Texts]:
    """The union of the policies in files, and what was read of them; arguments and errors as of load_files."""
    mistakes, lists = Mistakes(), KeptLists(writers)
    sources = sources_of(paths, lists, mistakes, writers)
    policy = _load(sources, mistakes)
    kept = tuple((source.name, source.text) for source in sources)
    return policy, Texts(kept, tuple(sorted(lists.texts.items())))


def load_kept(texts: Texts) -> Policy:
    """The same policy from what was kept; no file is read.

    Raises:
        PolicyError: with every mistake of every text.
    """
    lists = given_lists(dict(texts.lists))
    return load_sources([Source(name, text, Path(name).parent, lists) for name, text in texts.policies])


def sources_of(
    paths: Sequence[Path], lists: ListReader, mistakes: Mistakes, writers: Writers | None = None
) -> list[Source]:
    """The files that can be read; of the others it is told why not."""
    sources = []
    for path in paths:
        try:
            sources.append(read_policy(path, lists, writers))
        except UnreadableError as error:
            mistakes.add(error.diagnostic)
    return sources


def load_text(text: str | bytes, name: str = "policy.yaml", directory: Path | None = None) -> Policy:
    """The policy that text is; `name` stands for it in diagnostics, and `file:` is relative to `directory`.

    Raises:
        PolicyError: with every mistake.
    """
    return load_sources([Source(name, text, directory)])


def load_sources(sources: Sequence[Source]) -> Policy:
    """The union of the policies that sources hold.

    Raises:
        PolicyError: with every mistake of every source.
    """
    return _load(sources, Mistakes())


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading policy files, whatever is wrong with them.

    Args:
        policy: their union; None if and only if there is a mistake. An expectation that it does not meet is none.
        mistakes: all of them, by place.
        expectations: each, as it was tried, in the order of the files; none if there is no policy.
        places: where the name of each entry stands, of every file that could be read.
    """

    policy: Policy | None
    mistakes: tuple[Diagnostic, ...] = ()
    expectations: tuple[Tried, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)


def read_for_review(sources: Sequence[Source]) -> Reading:
    """What sources hold, and all that is wrong with it; nothing is raised."""
    return _read(sources, Mistakes())


def read_files_for_review(paths: Sequence[Path], lists: ListReader = read_list) -> Reading:
    """What files hold, and all that is wrong with it, that they cannot be read too; nothing is raised.

    Args:
        paths: of the policies.
        lists: reads the address lists that they name.
    """
    mistakes = Mistakes()
    return _read(sources_of(paths, lists, mistakes, None), mistakes)


def _load(sources: Sequence[Source], reading: Mistakes) -> Policy:
    """The policy; an expectation that it does not meet is a mistake too."""
    found = _read(sources, reading)
    if found.mistakes:
        raise PolicyError(found.mistakes)
    failing = Mistakes()
    for tried in found.expectations:
        if tried.diagnostic:
            failing.add(tried.diagnostic)
    if failing.count:
        raise PolicyError(settle([failing]))
    assert found.policy is not None, "a policy without a mistake has a meaning"
    return found.policy


def _read(sources: Sequence[Source], reading: Mistakes) -> Reading:
    shape, meaning = Mistakes(), Mistakes()
    trees = [tree for source in sources if (tree := read(source, reading))]
    for tree in trees:
        check_shape(tree, shape)
    complete = len(trees) == len(sources) and not reading.count
    found = understand(trees, meaning, complete=complete, sound=complete and not shape.count)
    tried = try_expectations(found.policy, found.expectations) if found.policy and found.expectations else ()
    return Reading(found.policy, tuple(settle([reading, meaning, shape])), tried, found.places)


def merge(policies: Iterable[Policy]) -> Policy:
    """The union of policies that have been read already: what any of them bypasses, tracks, protects or expects.

    Each was checked when it was read, alone. `load_files` reads several together, and so checks what one file
    protects or expects against the entries of the others.

    Raises:
        PolicyError: two entries have one name.
    """
    several = list(policies)
    where: dict[str, str] = {}
    twice = []
    for policy in several:
        for entry in policy.entries():
            if entry.name in where:
                message = f"the entry `{entry.name}` is in {where[entry.name]} too"
                twice.append(Diagnostic(Place(policy.name), message, "a name of its own for each entry"))
            where.setdefault(entry.name, policy.name)
    if twice:
        raise PolicyError(twice)
    return Policy(
        name=" + ".join(dict.fromkeys(policy.name for policy in several)),
        bypass=_by_name(entry for policy in several for entry in policy.bypass),
        track=_by_name(entry for policy in several for entry in policy.track),
        protect=merged(ports for policy in several for ports in policy.protect),
        expect=tuple(expectation for policy in several for expectation in policy.expect),
        description="\n".join(filter(None, (policy.description for policy in several))),
    )


def _by_name(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.name))
