"""Plans as people read them: traffic first, then rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from ctpolicy.nftables.change import ChainEdit, Change, Holder
from ctpolicy.nftables.render_text import chain_lines, element_lines, rule_text
from ctpolicy.nftables.ruleset import Set
from ctpolicy.plan.plan import EntryChange, Plan
from ctpolicy.plan.standing import Others, others_lines
from ctpolicy.plan.traffic import Traffic, traffic_lines

MOST_LINES: Final = 12
"""Elements of one set, or chains of one kind, that are shown; of more, the number."""


def plan_lines(plan: Plan) -> Iterator[str]:
    """The plan, line by line; lines of a diff begin with their sign after the indent."""
    if not plan:
        yield "Nothing to do: the live table is what the policy means." if plan.desired else "Nothing to do: no table."
        yield from _others_lines(plan.others)
        return
    yield "Traffic"
    yield from _entry_lines(plan.entries)
    yield from _packet_lines(plan.traffic)
    yield from _others_lines(plan.others)
    yield ""
    yield "Rules"
    if plan.change is not None:
        yield from _change_lines(plan.change)
    elif plan.live is not None:
        yield f"  - table {plan.live.family} {plan.live.name}"


def _entry_lines(entries: tuple[EntryChange, ...]) -> Iterator[str]:
    for entry in islice(entries, MOST_LINES):
        yield f"  {entry.turn.value} {entry.role:<6} {entry.name}"
    yield from _more(len(entries), "entries", "  ")


def _packet_lines(traffic: Traffic) -> Iterator[str]:
    if not traffic and not traffic.is_too_large:
        yield "  no packet changes, only rules do"
    yield from (f"  {line}" for line in traffic_lines(traffic))


def _others_lines(others: Others) -> Iterator[str]:
    lines = [f"    {line}" for line in others_lines(others)]
    if lines:
        yield "  others' rules leave untracked, whatever the policy says"
        yield from lines


def _change_lines(change: Change) -> Iterator[str]:
    sign = "+" if change.created else "~"
    yield f"  {sign} table {change.table.family} {change.table.name}" + (", built anew" if change.rebuilt else "")
    for other in change.others_removed:
        yield f"    - {other.kind} {other.name}"
    for holder in change.sets_removed:
        yield f"    - {_holder_title(holder)}"
    for chain in change.chains_removed[:MOST_LINES]:
        yield f"    - chain {chain.name}"
    yield from _more(len(change.chains_removed), "chains", "    ")
    for holder in change.sets_added[:MOST_LINES]:
        yield f"    + {_holder_title(holder)}"
        yield from _signed("+", "        ", element_lines(holder), len(holder.elements), "elements")
    yield from _more(len(change.sets_added), "sets and maps", "    ")
    for holder, sign in _element_changes(change):
        yield f"    ~ {_holder_title(holder)}"
        yield from _signed(sign, "        ", element_lines(holder), len(holder.elements), "elements")
    added = (*change.chains_hooked, *change.chains_added)
    for chain in added[:MOST_LINES]:
        yield from (f"    + {line.expandtabs(4)}" for line in chain_lines(chain))
    yield from _more(len(added), "chains", "    ")
    for edit in change.edits:
        yield from _edit_lines(edit)


def _element_changes(change: Change) -> list[tuple[Holder, str]]:
    changes = [(holder, "-") for holder in change.elements_removed] + [(h, "+") for h in change.elements_added]
    return sorted(changes, key=lambda change: (change[0].name, change[1] == "+"))


def _holder_title(holder: Holder) -> str:
    kind = "set" if isinstance(holder, Set) else "map"
    count = len(holder.elements)
    return f"{kind} {holder.name}: {count} element{'' if count == 1 else 's'}"


def _edit_lines(edit: ChainEdit) -> Iterator[str]:
    yield f"    ~ chain {edit.chain}"
    yield from (f"        - {rule_text(rule)}" for rule in edit.removed)
    yield from (f"        + {rule_text(rule)}" for rule, _ in edit.added)


def _signed(sign: str, indent: str, lines: Iterable[str], count: int, what: str) -> Iterator[str]:
    yield from (f"{indent}{sign} {line}" for line in islice(lines, MOST_LINES))
    yield from _more(count, what, indent)


def _more(count: int, what: str, indent: str) -> Iterator[str]:
    if count > MOST_LINES:
        yield f"{indent}... and {count - MOST_LINES} more of {count} {what}"
