"""What a lint has to say, of an entry of a policy or of somebody's live rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.packet import Packet
from ctpolicy.packetspace.space import bounded


class Severity(Enum):
    """How much a finding matters."""

    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where live rules are.

    Args:
        family: of the table.
        table: its name.
        chain: the rule's; empty if it is about the table as a whole.
        number: the rule's in its chain, from 1; 0 if it is about the table as a whole.
        owner: the program whose rule it is; empty if none is known.
    """

    family: str
    table: str
    chain: str = ""
    number: int = 0
    owner: str = ""

    def __str__(self) -> str:
        rule = f", chain {self.chain}, rule {self.number}" if self.chain else ""
        whose = f" ({self.owner})" if self.owner else ""
        return f"table {self.family} {self.table}{rule}{whose}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a lint has to say.

    Args:
        code: of the lint, such as CT003.
        about: an entry's name, or the place of live rules.
        message: what is so, and what to do about it.
        witness: a packet that shows it; None if there is none to name.
        severity: whether it is a warning.
    """

    code: str
    about: str | Place
    message: str
    witness: Packet | None
    severity: Severity = Severity.WARNING

    def __str__(self) -> str:
        shown = f"; such as: {self.witness}" if self.witness else ""
        about = f"`{self.about}`" if isinstance(self.about, str) else f"{self.about}:"
        return f"{self.severity.value}: {self.code} {about} {self.message}{shown}"


def found_within(find: Callable[[], list[Finding]], most: int) -> list[Finding] | None:
    """What lints find; None if that takes more work than this (see packetspace.space.bounded)."""
    try:
        with bounded(most):
            return find()
    except TooLargeError:
        return None


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as one object, by schemas/lint-v1.schema.json."""
    about = finding.about
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "entry": about if isinstance(about, str) else None,
        "rules": None if isinstance(about, str) else _place_json(about),
        "message": finding.message,
        "witness": None if finding.witness is None else str(finding.witness),
    }


def _place_json(place: Place) -> dict[str, Any]:
    return {
        "family": place.family,
        "table": place.table,
        "chain": place.chain or None,
        "number": place.number or None,
        "owner": place.owner or None,
    }
