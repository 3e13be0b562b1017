"""A change as what the tools take, step by step: `ipset restore`, and `iptables-restore` for each family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain as chained

from ctpolicy.iptables.change import Change, SetChange, TableChange
from ctpolicy.iptables.ours import is_swap, swapped_in_by
from ctpolicy.iptables.render import rule_text
from ctpolicy.iptables.render_sets import create_line, ipset_lines
from ctpolicy.iptables.ruleset import Chain, IpSet, Rule
from ctpolicy.iptables.values import address_text, prefix_text
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.intervals import Interval


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool.

    Args:
        family: whose `iptables-restore --noflush --counters` takes the text; None for `ipset restore`.
        text: that it takes.
    """

    family: Family | None
    text: str


def steps(change: Change) -> Iterator[Step]:
    """All of it, in order; see change.py for why no packet slips through in between."""
    abandoned = (one for one in change.sets_removed if is_swap(one.name))
    yield from _sets(chained(_destroyed(abandoned), _made(change.sets_added), _first(change.sets_changed)))
    for table in change.tables:
        yield Step(table.family, _text(_table_lines(table)))
    removed = (one for one in change.sets_removed if not is_swap(one.name))
    yield from _sets(chained(_then(change.sets_changed), _destroyed(removed)))


def _sets(lines: Iterable[str]) -> Iterator[Step]:
    text = _text(lines)
    if text:
        yield Step(None, text)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _made(sets: Iterable[IpSet]) -> Iterator[str]:
    return (line for one in sets for line in ipset_lines(one))


def _first(changes: Iterable[SetChange]) -> Iterator[str]:
    for change in changes:
        if change.remade:
            yield create_line(change.remade)
            yield from _elements("add", change.remade, change.remade.live)
            yield f"swap {swapped_in_by(change.after.name)} {change.after.name}"
            yield f"destroy {swapped_in_by(change.after.name)}"
            continue
        yield from _elements("add", change.after, change.added_first)
        yield from _elements("del", change.after, change.deleted_first)


def _then(changes: Iterable[SetChange]) -> Iterator[str]:
    for change in changes:
        yield from _elements("add", change.after, change.added_then)
        yield from _elements("del", change.after, change.deleted_then)


def _destroyed(sets: Iterable[IpSet]) -> Iterator[str]:
    return (f"destroy {one.name}" for one in sets)


def _elements(command: str, one: IpSet, elements: Iterable[Interval]) -> Iterator[str]:
    return (f"{command} {one.name} {element_text(one, element)}" for element in elements)


def element_text(one: IpSet, element: Interval) -> str:
    """One prefix or port, as ipset writes it."""
    first, last = element
    if one.family is None:
        return str(first)
    return address_text(first, one.family) if first == last else prefix_text(element, one.family)


def _table_lines(change: TableChange) -> Iterator[str]:
    family = change.family
    yield "*raw"
    # A header empties the chain, or makes it: then it can be filled, or, once nothing leads to it, deleted.
    yield from (f":{chain.name} - [0:0]" for chain in (*change.written, *change.removed))
    before = {chain.name: chain for chain in change.before}
    for chain in change.written:
        yield from _rule_lines(chain, before.get(chain.name), family)
    yield from (f"-D {built_in} {_words(rule, family)}" for built_in, rule in change.unhooked)
    yield from (_inserted(built_in, place, rule, family) for built_in, place, rule in change.hooked)
    yield from (f"-X {chain.name}" for chain in change.removed)
    yield "COMMIT"


def _inserted(built_in: str, place: int, rule: Rule, family: Family) -> str:
    """A jump of ours; one that is put back has what it had counted."""
    counters = f"[{rule.packets}:{rule.bytes}] " if rule.packets else ""
    return f"{counters}-I {built_in} {place} {_words(rule, family)}"


def _rule_lines(chain: Chain, before: Chain | None, family: Family) -> Iterator[str]:
    """The chain's rules; those that it has already keep what they have counted, as do those that are put back."""
    counted: dict[Rule, list[Rule]] = {}
    for rule in before.rules if before else ():
        counted.setdefault(rule, []).append(rule)
    for rule in chain.rules:
        known = counted.get(rule)
        live = known.pop(0) if known else rule
        yield f"[{live.packets}:{live.bytes}] -A {chain.name} {_words(rule, family)}"


def _words(rule: Rule, family: Family) -> str:
    """A rule's own words, if it is live or was; deletions have to repeat them, and what is put back should."""
    return rule.spelling or rule_text(rule, family)
