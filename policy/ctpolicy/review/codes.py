"""The rules that a review's remarks come from, by code: what each is, for reports that list them.

CT001 to CT006   lints (lints.py)
RV...            what a review adds
HZ...            what would break on hosts (hazards/codes.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ctpolicy.hazards.codes import CODES


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code stands for.

    Args:
        code: unique.
        name: in kebab case, as programs like it.
        summary: one sentence.
    """

    code: str
    name: str
    summary: str


RULES: Final = tuple(
    Rule(*row)
    for row in (
        ("CT001", "covered", "Another entry covers all that this one does."),
        ("CT002", "nothing", "Track entries cover all of this bypass entry."),
        ("CT003", "half-flow", "A match bypasses one direction of flows whose answers stay tracked."),
        ("CT004", "too-broad", "An entry bypasses everything, or a whole protocol that has ports."),
        ("CT005", "protected", "Protected traffic is bypassed, and acknowledged."),
        ("CT006", "one-interface", "Forwarded packets of some interfaces whose answers come in by another one."),
        ("RV001", "mistake", "The policy cannot be read."),
        ("RV002", "expectation", "A packet does not fare as the policy expects."),
        ("RV003", "invariant", "An invariant does not hold."),
        ("RV004", "waiver", "A waiver has expired, or waives nothing."),
        ("RV005", "proof", "Compiled rules leave other packets untracked than the policy means."),
        ("RV006", "property", "A property of every policy does not hold of this one."),
        ("RV007", "kernel", "The kernel does otherwise than the policy means."),
        ("RV008", "newly-untracked", "Packets that were tracked bypass connection tracking from now on."),
        ("RV009", "tracked-again", "Packets that bypassed connection tracking are tracked from now on."),
        ("RV010", "base", "What the policy is compared with cannot be read."),
        ("RV011", "invariants", "The invariants are other ones than the base's, or cannot be read."),
        ("RV012", "too-large", "A question was given up because the policy is too large for it."),
    )
) + tuple(Rule(code.code, code.name, code.summary) for code in CODES)
BY_CODE: Final = {rule.code: rule for rule in RULES}

LINTS: Final = tuple(rule.code for rule in RULES if rule.code.startswith("CT"))
