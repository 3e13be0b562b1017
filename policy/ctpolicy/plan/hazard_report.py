"""The hazards of a plan as people read them, and as programs do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from ctpolicy.hazards.codes import BY_CODE
from ctpolicy.hazards.hazard import Hazard
from ctpolicy.hazards.rules import Rule
from ctpolicy.plan.consequences import Consequences, Foreseen

MOST_SHOWN: Final = 12
"""Hazards that are certain, or possible, in one report; of more, the number."""

LONGEST: Final = 200
"""Characters of somebody's rule."""


def hazard_lines(consequences: Consequences) -> Iterator[str]:
    """What would break, certain first; that nothing was found, where hazards were looked for; or nothing."""
    if consequences.looked is None and not consequences.found:
        return
    yield "Hazards"
    if not consequences.found:
        yield "  none found"
    for is_certain in (True, False):
        alike = [one for one in consequences.found if one.hazard.is_certain is is_certain]
        for one in alike[:MOST_SHOWN]:
            yield from _lines(one)
        yield from _more(alike, "certain" if is_certain else "possible")
    yield from (f"  not known: {words}" for words in consequences.unknown)


def _lines(foreseen: Foreseen) -> Iterator[str]:
    hazard = foreseen.hazard
    certainty = "certain" if hazard.is_certain else "possible"
    yield f"  {certainty} {hazard.severity.value} {hazard.code}: {BY_CODE[hazard.code].summary}"
    if hazard.rule is not None:
        yield f"      by {_rule(hazard.rule)}{hazard.and_more}"
    if hazard.before is not None:
        yield f"      accepted before by {_rule(hazard.before)}"
    if hazard.note:
        yield f"      {hazard.note}"
    yield from (f"      {hazard.traffic.value}: {packets}" for packets in hazard.packets())
    if hazard.witness is not None:
        yield f"      such as {hazard.witness}"
    if foreseen.acknowledged:
        yield f"      acknowledged by {', '.join(foreseen.acknowledged)}"


def _rule(rule: Rule) -> str:
    text = rule.text if len(rule.text) <= LONGEST else f"{rule.text[:LONGEST]} ..."
    return f"`{text}` in {rule.place}"


def _more(alike: Sequence[Foreseen], words: str) -> Iterator[str]:
    if len(alike) > MOST_SHOWN:
        yield f"  ... and {len(alike) - MOST_SHOWN} more of {len(alike)} {words} hazards"


def hazards_json(consequences: Consequences) -> dict[str, Any]:
    """The same, as a part of a plan's JSON."""
    return {
        "looked": consequences.looked is not None,
        "found": [_json(one) for one in consequences.found],
        "unknown": list(consequences.unknown),
    }


def _json(foreseen: Foreseen) -> dict[str, Any]:
    hazard = foreseen.hazard
    return {
        "code": hazard.code,
        "name": BY_CODE[hazard.code].name,
        "summary": BY_CODE[hazard.code].summary,
        "certain": hazard.is_certain,
        "severity": hazard.severity.value,
        "traffic": hazard.traffic.value,
        "rule": rule_json(hazard.rule),
        "otherRules": len(hazard.others),
        "before": rule_json(hazard.before),
        "packets": list(hazard.packets()),
        "witness": str(hazard.witness) if hazard.witness else None,
        "note": hazard.note,
        "acknowledged": list(foreseen.acknowledged),
    }


def rule_json(rule: Rule | None) -> dict[str, Any] | None:
    """A live rule: its text and its place."""
    if rule is None:
        return None
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


def refusal(refused: Sequence[Hazard]) -> str:
    """Why a plan is not applied, in sentences."""
    codes = ", ".join(sorted({one.code for one in refused}))
    count = "A hazard is" if len(refused) == 1 else f"{len(refused)} hazards are"
    return (
        f"{count} certain, and traffic is lost by it ({codes}): see the plan. Nothing was changed. What helps is told "
        "by `ctpolicy plan --remedies FILE`. To apply it as it is, give --accept-hazards, or name the code in the "
        "entry's `acknowledge`."
    )
