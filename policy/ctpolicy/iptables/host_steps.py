"""One rule of iptables as steps of hazards/rules.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ctpolicy.hazards.rules import Action, Asked, Decision, Service, Step, Use
from ctpolicy.hazards.rules import Rule as Told
from ctpolicy.hazards.rules import Verdict as Outcome
from ctpolicy.iptables.host_conditions import question
from ctpolicy.iptables.host_questions import OF_FAMILY, Known, Question
from ctpolicy.iptables.host_targets import effects
from ctpolicy.iptables.ruleset import (
    Match,
    Notrack,
    RawTable,
    Rule,
    UnmodelledTarget,
    Verdict,
    VerdictKind,
)

_VERDICTS: Final = {
    VerdictKind.ACCEPT: Outcome.ACCEPT,
    VerdictKind.DROP: Outcome.DROP,
    VerdictKind.RETURN: Outcome.RETURN,
    VerdictKind.JUMP: Outcome.JUMP,
    VerdictKind.GOTO: Outcome.GOTO,
}
_ADDRESSES: Final = frozenset({Asked.SOURCE, Asked.DESTINATION})


class TableReader:
    """One table while its rules are read.

    Args:
        table: it.
        known: of the host.
    """

    def __init__(self, table: RawTable, known: Known) -> None:
        self._known = known
        self._asked: dict[Match, Question] = {}
        self._of_sources = _reached(table, {"POSTROUTING", "INPUT"}) - _reached(table, {"PREROUTING", "OUTPUT"})

    def steps(self, rule: Rule, told: Told) -> Iterator[Step]:
        """What a rule does, one thing after the other."""
        held = Question()
        for match in rule.matches:
            asked = self._question(match)
            for service in asked.uses:
                yield _step(told, held, Use(service))
            held &= asked
        if any(one.asks & _ADDRESSES for one in held.fields):
            held = Question((OF_FAMILY[self._known.family],)) & held
        match rule.target:
            case Notrack():
                yield _step(told, held, Use(Service.NOTRACK))
            case Verdict(kind, chain):
                yield _step(told, held, Decision(_VERDICTS[kind], chain or ""))
            case UnmodelledTarget(text):
                for effect in effects(text, of_sources=told.chain in self._of_sources):
                    more = Question(tracking=effect.tracking, open=effect.open)
                    yield _step(told, held & more, effect.action)

    def _question(self, match: Match) -> Question:
        """What a match asks; the same of many rules is one object, so that it is looked up in few."""
        if match not in self._asked:
            self._asked[match] = question(match, self._known)
        return self._asked[match]


def _step(told: Told, held: Question, action: Action) -> Step:
    return Step(told, held.fields, held.tracking, held.open, action)


def _reached(table: RawTable, begin: set[str]) -> set[str]:
    """The chains that packets come to from some."""
    leads: Mapping[str, set[str]] = {
        chain.name: {
            rule.target.chain for rule in chain.rules if isinstance(rule.target, Verdict) and rule.target.chain
        }
        for chain in table.chains
    }
    found, left = set(begin), list(begin)
    while left:
        new = leads.get(left.pop(), set()) - found
        found |= new
        left += new
    return found
