"""A trace as people read it, and as programs do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ctpolicy.hazards.rules import Rule
from ctpolicy.hazards.situations import Situation
from ctpolicy.hazards.trace import Met, Passage, Trace, TracedWay, joined_outcomes
from ctpolicy.hazards.views import Truth
from ctpolicy.language.diagnostics import harmless

API_VERSION: Final = "ctpolicy.trace/v1"

_AS: Final = {
    Situation.NEW: "as the first packet of a flow (new)",
    Situation.ESTABLISHED: "as a later packet of a flow (established)",
    Situation.REPLY: "as an answer (established)",
    Situation.RELATED: "as an ICMP error about a tracked flow (related)",
    Situation.UNTRACKED: "untracked",
    Situation.INVALID: "as an ICMP error about an untracked flow (invalid)",
}


def trace_lines(trace: Trace) -> Iterator[str]:
    """The ways before, then those after; where they are the same, once."""
    yield str(trace.packet)
    if trace.before == trace.after:
        yield from _ways("before and after the plan", trace.before)
    else:
        yield from _ways("before the plan", trace.before)
        yield from _ways("after the plan", trace.after)
    for title in trace.unwalked:
        yield ""
        yield f"not followed: {harmless(title)}"


def trace_json(trace: Trace) -> dict[str, Any]:
    """As schemas/trace-v1.schema.json says."""
    return {
        "apiVersion": API_VERSION,
        "packet": str(trace.packet),
        "untrackedBefore": trace.untracked_before,
        "untrackedAfter": trace.untracked_after,
        "before": [_way_json(way) for way in trace.before],
        "after": [_way_json(way) for way in trace.after],
        "notFollowed": list(trace.unwalked),
    }


def _ways(when: str, ways: tuple[TracedWay, ...]) -> Iterator[str]:
    for way in ways:
        yield ""
        yield f"{when}, {_AS[way.situation]}: {joined_outcomes(way.outcomes)}"
        for passage in way.passages:
            yield from _passage(passage)


def _passage(passage: Passage) -> Iterator[str]:
    yield f"  {passage.hook.value} {passage.priority:+}, {harmless(passage.table)}, chain {harmless(passage.chain)}"
    for met in passage.met:
        yield f"  {'  ' * (met.depth + 1)}{_met(met)}"


def _met(met: Met) -> str:
    perhaps = "" if met.is_certain else "perhaps "
    number = f"{met.rule.number}. " if met.rule.number else ""
    # Most rules say it themselves; a verdict map, or a policy, is told apart.
    says_itself = not met.rule.number or met.rule.text.lower().endswith(met.says.lower())
    own_words = "" if says_itself else met.says
    asked = f" (not modelled: {harmless(', '.join(met.open))})" if met.open else ""
    says = f" => {own_words}" if own_words else ""
    return f"{perhaps}{number}{harmless(met.rule.text)}{harmless(says)}{asked}"


def _way_json(way: TracedWay) -> dict[str, Any]:
    return {
        "situation": way.situation.value,
        "outcomes": [one.value for one in way.outcomes],
        "chains": [_passage_json(passage) for passage in way.passages],
    }


def _passage_json(passage: Passage) -> dict[str, Any]:
    return {
        "hook": passage.hook.value,
        "priority": passage.priority,
        "table": passage.table,
        "chain": passage.chain,
        "met": [_met_json(met) for met in passage.met],
        "goesOn": {Truth.YES: True, Truth.NO: False, Truth.PERHAPS: None}[passage.goes_on],
    }


def _met_json(met: Met) -> dict[str, Any]:
    return {
        "rule": _rule_json(met.rule),
        "says": met.says,
        "depth": met.depth,
        "certain": met.is_certain,
        "notModelled": list(met.open),
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {
        "text": rule.text,
        "tool": rule.tool,
        "family": rule.family,
        "table": rule.table,
        "chain": rule.chain,
        "number": rule.number or None,
        "handle": rule.handle,
        "owner": rule.owner or None,
    }
