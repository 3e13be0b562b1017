"""From the trees of all files to one policy: groups first, then entries, then what only holds for all together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ctpolicy.language.coverage import check_coverage
from ctpolicy.language.diagnostics import Place, Related
from ctpolicy.language.entries import kind_of, read_entry
from ctpolicy.language.expectations import PlacedExpectation, Roles, read_expectation
from ctpolicy.language.groups import define_groups
from ctpolicy.language.head import POLICY, check_head
from ctpolicy.language.mistakes import Mistakes
from ctpolicy.language.nodes import Mapping, Scalar
from ctpolicy.language.nodes import Sequence as ListNode
from ctpolicy.language.policy import Entry, Policy, ProtocolPorts
from ctpolicy.language.ports import merged
from ctpolicy.language.protection import DEFAULT, uncovered
from ctpolicy.language.values import Values

SECTIONS = ("bypass", "track")

_Placed = tuple[Mapping, Entry]


@dataclass(frozen=True, slots=True)
class Understood:
    """What trees are.

    Args:
        policy: None if one of them has a mistake, which has been told.
        expectations: of the policy, to be tried; none if there is no policy.
        places: where the name of each entry stands, whether or not there is a policy.
    """

    policy: Policy | None
    expectations: tuple[PlacedExpectation, ...] = ()
    places: dict[str, Place] = field(default_factory=dict)


def understand(trees: Sequence[Mapping], mistakes: Mistakes, *, complete: bool, sound: bool) -> Understood:
    """The policy that trees are; what they expect of it has not been tried yet.

    Args:
        trees: one a file.
        mistakes: where to tell mistakes.
        complete: whether every file is there, so that what no tree has is nowhere.
        sound: whether no other stage has found a mistake, so that there can be a policy.
    """
    for tree in trees:
        check_head(tree, POLICY, mistakes)
    values = Values(define_groups(trees, mistakes, complete), mistakes)
    _check_names(trees, mistakes)
    names = {section: _names(trees, section) for section in SECTIONS}
    places = {name: scalar.place for section in reversed(SECTIONS) for name, scalar in names[section].items()}
    entries = {section: list(_entries(trees, section, values)) for section in SECTIONS}
    protect = _protect(trees, values)
    for node, entry in entries["bypass"]:
        _check_protected(node, entry, protect, mistakes)
    roles = Roles(*(names[section].keys() for section in SECTIONS)) if complete else None
    expectations = list(_expectations(trees, roles, mistakes))
    if mistakes.count or not sound:
        return Understood(None, places=places)
    counts = {**{section: len(found) for section, found in entries.items()}, "expect": len(expectations)}
    assert counts == {key: len(list(_items(trees, key))) for key in counts}, "nothing is dropped without a word"
    policy = Policy(
        name=" + ".join(dict.fromkeys(_texts(trees, "name"))),
        bypass=_sorted(entries["bypass"]),
        track=_sorted(entries["track"]),
        protect=protect,
        expect=tuple(expectation for _, expectation in expectations),
        description="\n".join(_texts(trees, "description")),
    )
    return Understood(policy, tuple(expectations), places)


def _check_names(trees: Sequence[Mapping], mistakes: Mistakes) -> None:
    """Tell each entry whose name another has, in whichever section and file."""
    first: dict[str, Scalar] = {}
    for section in SECTIONS:
        for text, name in _named(trees, section):
            if text in first:
                also = Related(first[text].place, "it is here first")
                mistakes.tell(name, f"there are two entries `{text[:40]}`", "a name of its own", also=also)
            else:
                first[text] = name


def _names(trees: Sequence[Mapping], section: str) -> dict[str, Scalar]:
    """The names in a section, and where each stands first."""
    found: dict[str, Scalar] = {}
    for text, name in _named(trees, section):
        found.setdefault(text, name)
    return found


def _named(trees: Sequence[Mapping], section: str) -> Iterator[tuple[str, Scalar]]:
    for node in _items(trees, section):
        name = node.get("name")
        if isinstance(name, Scalar) and isinstance(name.value, str):
            yield name.value, name


def _entries(trees: Sequence[Mapping], section: str, values: Values) -> Iterator[_Placed]:
    for node in _items(trees, section):
        entry = read_entry(node, values)
        if entry is not None:
            before = values.mistakes.count
            check_coverage(entry, node, values.mistakes)
            if values.mistakes.count == before:
                yield node, entry


def _protect(trees: Sequence[Mapping], values: Values) -> tuple[ProtocolPorts, ...]:
    """What any file protects; the default if none says."""
    given = [node for tree in trees if (node := tree.get("protect")) is not None]
    found = [values.ports(node) or () for node in given]
    return merged(ports for several in found for ports in several) if given else DEFAULT


def _check_protected(node: Mapping, entry: Entry, protect: tuple[ProtocolPorts, ...], mistakes: Mistakes) -> None:
    if what := uncovered(entry, protect):
        expected = 'a narrower entry, or `acknowledge: "why this is safe"`'
        mistakes.tell(kind_of(node), f"`{entry.name}` {what}", expected)


def _expectations(trees: Sequence[Mapping], roles: Roles | None, mistakes: Mistakes) -> Iterator[PlacedExpectation]:
    for node in _items(trees, "expect"):
        found = read_expectation(node, roles, mistakes)
        if found:
            yield found


def _items(trees: Sequence[Mapping], key: str) -> Iterator[Mapping]:
    """The mappings in the lists that a key holds, over all files."""
    for tree in trees:
        value = tree.get(key)
        if isinstance(value, ListNode):
            yield from (item for item in value.items if isinstance(item, Mapping))


def _texts(trees: Sequence[Mapping], key: str) -> Iterator[str]:
    for tree in trees:
        value = tree.get(key)
        if isinstance(value, Scalar) and value.value:
            yield str(value.value)


def _sorted(placed: Iterable[_Placed]) -> tuple[Entry, ...]:
    return tuple(sorted((entry for _, entry in placed), key=lambda entry: entry.name))
