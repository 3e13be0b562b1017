"""Plans as people read them: traffic first, then rules, then what would break."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from ctpolicy.netfilter.backend import ObjectChange, Turn
from ctpolicy.plan.hazard_report import hazard_lines
from ctpolicy.plan.plan import EntryChange, Plan
from ctpolicy.plan.standing import Others, others_lines
from ctpolicy.plan.traffic import Traffic, traffic_lines

MOST_LINES: Final = 12
"""Elements of one set, or objects of one kind that change alike, that are shown; of more, the number."""


def plan_lines(plan: Plan[Any]) -> Iterator[str]:
    """The plan, line by line; lines of a diff begin with their sign after the indent."""
    if not plan:
        yield "Nothing to do: " + ("what is live is what the policy means." if plan.desired else "nothing is there.")
        yield from _others_lines(plan.others)
        yield from plan.notes
        return
    yield "Traffic"
    yield from _entry_lines(plan.entries)
    yield from _packet_lines(plan.traffic)
    yield from _others_lines(plan.others)
    yield ""
    yield "Rules"
    yield from object_lines(list(plan.backend.objects(plan.live, plan.desired)))
    hazards = list(hazard_lines(plan.consequences))
    if hazards:
        yield ""
        yield from hazards
    if plan.notes:
        yield ""
        yield from plan.notes


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


def object_lines(objects: list[ObjectChange]) -> Iterator[str]:
    """Of objects of one kind that change alike the first few, and how many more there are."""
    alike = Counter((changed.kind, changed.turn) for changed in objects)
    shown: Counter[tuple[str, Turn]] = Counter()
    for changed in objects:
        key = changed.kind, changed.turn
        shown[key] += 1
        if shown[key] <= MOST_LINES:
            yield from _changed_lines(changed)
        elif shown[key] == alike[key]:
            yield from _more(alike[key], f"{changed.kind}s", "    ")


def _changed_lines(changed: ObjectChange) -> Iterator[str]:
    title = f"{changed.kind} {changed.name}"
    if changed.kind == "table":
        sign = {Turn.REBUILT: "~"}.get(changed.turn, changed.turn.value)
        yield f"  {sign} {title}" + (", built anew" if changed.turn is Turn.REBUILT else "")
    elif changed.kind == "chain" and changed.turn is Turn.ADDED:
        yield from (f"    + {line}" for line in changed.added)
    else:
        elements = f": {changed.size} element{'' if changed.size == 1 else 's'}" if changed.size else ""
        yield f"    {changed.turn.value} {title}{elements}"
        if changed.turn is not Turn.REMOVED:
            yield from _signed("-", changed.removed, changed.size)
            yield from _signed("+", changed.added, changed.size)


def _signed(sign: str, lines: Iterable[str], size: int) -> Iterator[str]:
    """The lines of a chain, which are few, or the first elements of a set."""
    found = list(islice(lines, MOST_LINES)) if size else list(lines)
    yield from (f"        {sign} {line}" for line in found)
    if found:
        yield from _more(size, "elements", "        ")


def _more(count: int, what: str, indent: str) -> Iterator[str]:
    if count > MOST_LINES:
        yield f"{indent}... and {count - MOST_LINES} more of {count} {what}"
