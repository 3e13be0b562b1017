"""Files of invariants to `Invariants`, or all their mistakes at once: the same stages as for policies (load.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from ctpolicy.language.coverage import check_coverage
from ctpolicy.language.diagnostics import PolicyError, Related, nearest
from ctpolicy.language.entries import read_traffic
from ctpolicy.language.groups import define_groups
from ctpolicy.language.head import INVARIANTS, check_head
from ctpolicy.language.load import sources_of
from ctpolicy.language.mistakes import Mistakes, ValueMistake, settle
from ctpolicy.language.names import name_mistake
from ctpolicy.language.nodes import Mapping, Node, Scalar, scalars
from ctpolicy.language.nodes import Sequence as ListNode
from ctpolicy.language.policy import Entry
from ctpolicy.language.reading import read
from ctpolicy.language.rules import (
    AlwaysBypass,
    AtMostEntries,
    Invariant,
    Invariants,
    NeverBypass,
    NoAcknowledged,
    OnlyBypassWithin,
    Packets,
    Rule,
    Waiver,
)
from ctpolicy.language.schema import check_shape
from ctpolicy.language.source import ListReader, Source, read_list
from ctpolicy.language.values import Values

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def load_invariants(sources: Sequence[Source]) -> Invariants:
    """The invariants that sources hold, together.

    Raises:
        PolicyError: with every mistake of every source.
    """
    return _load(sources, Mistakes())


def load_invariants_files(paths: Sequence[Path], lists: ListReader = read_list) -> Invariants:
    """The invariants in files, together.

    Args:
        paths: of the files.
        lists: reads the address lists that they name.

    Raises:
        PolicyError: with every mistake of every file.
    """
    mistakes = Mistakes()
    return _load(sources_of(paths, lists, mistakes), mistakes)


def _load(sources: Sequence[Source], reading: Mistakes) -> Invariants:
    shape, meaning = Mistakes(), Mistakes()
    trees = [tree for source in sources if (tree := read(source, reading, INVARIANTS))]
    for tree in trees:
        check_shape(tree, shape, INVARIANTS.schema)
    complete = len(trees) == len(sources) and not reading.count
    found = _understand(trees, meaning, complete)
    if mistakes := settle([reading, meaning, shape]):
        raise PolicyError(mistakes)
    for key, read_ones in (("invariants", found.invariants), ("waivers", found.waivers)):
        assert len(read_ones) == len([1 for tree in trees for _ in _items(tree, key)]), "nothing is dropped"
    return found


def _understand(trees: Sequence[Mapping], mistakes: Mistakes, complete: bool) -> Invariants:
    """What trees say, but for what has a mistake."""
    for tree in trees:
        check_head(tree, INVARIANTS, mistakes)
    values = [(tree, Values(define_groups([tree], mistakes, complete=True), mistakes)) for tree in trees]
    names = _names(trees, mistakes)
    known = names.keys() if complete else None
    invariants = [_invariant(node, own) for tree, own in values for node in _items(tree, "invariants")]
    waivers = [_waiver(node, known, own) for tree, own in values for node in _items(tree, "waivers")]
    sensitive = [_packets(node, own) for tree, own in values if (node := tree.get("sensitive")) is not None]
    titles = [str(name.value) for tree in trees if isinstance(name := tree.get("name"), Scalar)]
    return Invariants(
        name=" + ".join(dict.fromkeys(titles)),
        invariants=tuple(invariant for invariant in invariants if invariant),
        waivers=tuple(waiver for waiver in waivers if waiver),
        sensitive=tuple(entry for packets in sensitive for entry in packets or ()),
    )


def _items(tree: Mapping, key: str) -> Iterator[Mapping]:
    value = tree.get(key)
    if isinstance(value, ListNode):
        yield from (item for item in value.items if isinstance(item, Mapping))


def _names(trees: Sequence[Mapping], mistakes: Mistakes) -> dict[str, Scalar]:
    """The names of all invariants; each that is there twice is told."""
    first: dict[str, Scalar] = {}
    for node in (node for tree in trees for node in _items(tree, "invariants")):
        if (name := _text(node, "name")) is None:
            continue
        if mistake := name_mistake(str(name.value)):
            mistakes.tell(name, mistake.message, mistake.expected, mistake.suggestion)
        elif str(name.value) in first:
            also = Related(first[str(name.value)].place, "it is here first")
            mistakes.tell(name, f"there are two invariants `{name.value}`", "a name of its own", also=also)
        first.setdefault(str(name.value), name)
    return first


def _text(node: Mapping, key: str) -> Scalar | None:
    """A key's value, if it is text."""
    value = node.get(key)
    return value if isinstance(value, Scalar) and isinstance(value.value, str) else None


def _invariant(node: Mapping, values: Values) -> Invariant | None:
    before = values.mistakes.count
    key = _rule_key(node, values.mistakes)
    rule = _RULES[key](node.pairs[key][1], values) if key else None
    name, description = _text(node, "name"), _text(node, "description")
    if name is None or rule is None or values.mistakes.count > before:
        return None
    return Invariant(str(name.value), rule, str(description.value) if description else "", name.place)


def _rule_key(node: Mapping, mistakes: Mistakes) -> str | None:
    """The one key that says what must hold."""
    present = [key for key in node.pairs if key in _RULES]
    if len(present) == 1:
        return present[0]
    unknown = [key for key in node.pairs if key not in {"name", "description"}]
    if not present and not node.is_torn and not any(nearest(key, _RULES) for key in unknown[:5]):
        where = node.get("name") or node
        mistakes.tell(where, "this invariant does not say what must hold", "one of " + ", ".join(_RULES))
    for extra in present[1:]:
        message = f"this invariant is `{present[0]}` already, so it cannot be `{extra}` too"
        mistakes.tell(node.key(extra), message, "two invariants")
    return None


def _packets(node: Node, values: Values) -> Packets | None:
    """The packets of one entry without a name or of a list of them; what is neither, the schema's stage tells."""
    items = node.items if isinstance(node, ListNode) else [node]
    found = [_traffic(item, values) if isinstance(item, Mapping) else None for item in items]
    return tuple(entry for entry in found if entry) if found and None not in found else None


def _traffic(node: Mapping, values: Values) -> Entry | None:
    entry = read_traffic(node, values)
    before = values.mistakes.count
    if entry is not None:
        check_coverage(entry, node, values.mistakes)
    return entry if values.mistakes.count == before else None


def _of_packets(kind: Callable[[Packets], Rule]) -> Callable[[Node, Values], Rule | None]:
    def rule(node: Node, values: Values) -> Rule | None:
        packets = _packets(node, values)
        return None if packets is None else kind(packets)

    return rule


def _at_most_entries(node: Node, values: Values) -> Rule | None:
    limit = node.get("limit") if isinstance(node, Mapping) else node
    if not isinstance(limit, Scalar) or not isinstance(limit.value, int) or isinstance(limit.value, bool):
        return None
    meeting = node.get("meeting") if isinstance(node, Mapping) else None
    packets = _packets(meeting, values) if meeting is not None else None
    return None if meeting is not None and packets is None else AtMostEntries(limit.value, packets)


def _no_acknowledged(node: Node, values: Values) -> Rule | None:
    if isinstance(node, Scalar):
        if node.value is False:
            values.mistakes.tell(node, "`false` demands nothing", "`true`, or the invariant left out")
        elif node.value is not True and node.value is not None:
            values.mistakes.tell(node, "these are no packets", "`true`, or packets such as {ports: tcp/22}")
        return NoAcknowledged() if node.value is True else None
    packets = _packets(node, values)
    return None if packets is None else NoAcknowledged(packets)


_RULES: Final[dict[str, Callable[[Node, Values], Rule | None]]] = {
    "never-bypass": _of_packets(NeverBypass),
    "always-bypass": _of_packets(AlwaysBypass),
    "only-bypass-within": _of_packets(OnlyBypassWithin),
    "at-most-entries": _at_most_entries,
    "no-acknowledged": _no_acknowledged,
}
"""What an invariant can demand, by its key."""


def _waiver(node: Mapping, known: Collection[str] | None, values: Values) -> Waiver | None:
    """A waiver of one of the invariants that are known; None for `known` if some may be in a file that is not there."""
    mistakes = values.mistakes
    before = mistakes.count
    invariant, owner, reason = (_said(node, key, mistakes) for key in ("invariant", "owner", "reason"))
    if invariant and known is not None and str(invariant.value) not in known:
        suggestion = mistakes.nearest(str(invariant.value), known)
        message = f"there is no invariant `{str(invariant.value)[:40]}`"
        mistakes.tell(invariant, message, "the name of an invariant", suggestion)
    expires = mistakes.parsed(value, _day) if isinstance(value := node.get("expires"), Scalar) else None
    entries = _entry_names(value, mistakes) if (value := node.get("entries")) is not None else None
    packets = _packets(value, values) if (value := node.get("packets")) is not None else None
    if invariant is None or owner is None or reason is None or expires is None or mistakes.count > before:
        return None
    who, why = str(owner.value), str(reason.value)
    return Waiver(str(invariant.value), who, why, expires, entries, packets, invariant.place)


def _said(node: Mapping, key: str, mistakes: Mistakes) -> Scalar | None:
    """A key's text; that there is nothing in it is told."""
    text = _text(node, key)
    if text is not None and not str(text.value).strip():
        mistakes.tell(text, f"`{key}` says nothing", "a few words")
        return None
    return text


def _entry_names(node: Node, mistakes: Mistakes) -> frozenset[str]:
    names = [item for item in scalars(node) if isinstance(item.value, str)]
    for name in names:
        if mistake := name_mistake(str(name.value)):
            mistakes.tell(name, mistake.message, mistake.expected, mistake.suggestion)
    return frozenset(str(name.value) for name in names)


def _day(text: str) -> date:
    try:
        if not _DATE.fullmatch(text):
            raise ValueError("another way to write a day, of which there are many")
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueMistake(f"`{text[:40]}` is not a day", "YEAR-MONTH-DAY, such as 2027-01-31") from error
