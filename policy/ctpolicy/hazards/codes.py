"""What each code of a hazard stands for: one table, for reports that list them and for `acknowledge`.

HZ001 to HZ003   accepted before, dropped now
HZ004 to HZ006   translated before, not now
HZ007 to HZ014   given something by conntrack before, or giving it something, and not now
HZ015            what cannot be told
HZ016            tracked again
HZ017            what was given up
HZ018            dropped before, let through now
HZ019            taken by a transparent proxy before, not now
HZ020            ICMP errors again, those of less weight
HZ021            a bypass without effect
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Severity(Enum):
    """How much a hazard matters, if it comes true."""

    ERROR = "error"
    """Traffic is lost."""
    WARNING = "warning"
    """Traffic may go another way, or without what it was given."""
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Code:
    """What a code stands for.

    Args:
        code: unique.
        name: in kebab case, as programs like it.
        severity: of all its hazards.
        summary: one sentence.
    """

    code: str
    name: str
    severity: Severity
    summary: str


CODES: Final = tuple(
    Code(*row)
    for row in (
        ("HZ001", "requests-lost", Severity.ERROR, "First packets of flows were accepted, and are dropped untracked."),
        ("HZ002", "replies-lost", Severity.ERROR, "Answers were accepted as established, and are dropped untracked."),
        ("HZ003", "errors-lost", Severity.ERROR, "ICMP errors that path MTU discovery needs become invalid: dropped."),
        ("HZ004", "destination-nat-lost", Severity.ERROR, "Destinations are translated no more."),
        ("HZ005", "source-nat-lost", Severity.ERROR, "Sources are translated no more."),
        ("HZ006", "answers-not-translated", Severity.ERROR, "Answers to flows that stay translated bypass conntrack."),
        ("HZ007", "helper-lost", Severity.WARNING, "Connections no longer get a helper, so what they expect is new."),
        ("HZ008", "ct-mark-not-set", Severity.WARNING, "Connections are no longer marked or labelled."),
        ("HZ009", "ct-mark-not-restored", Severity.WARNING, "Packets no longer get the mark of their connection."),
        ("HZ010", "connections-not-counted", Severity.WARNING, "A limit of connections sees these no more."),
        ("HZ011", "zone-lost", Severity.WARNING, "Connections no longer get a zone of their own."),
        ("HZ012", "not-offloaded", Severity.WARNING, "Flows no longer go by a flow table."),
        ("HZ013", "synproxy", Severity.WARNING, "SYNPROXY meets packets that it sees no connection of."),
        ("HZ014", "timeout-lost", Severity.INFORMATION, "Connections no longer get a timeout of their own."),
        ("HZ015", "not-followed", Severity.INFORMATION, "Rules that are not followed may treat these otherwise."),
        ("HZ016", "lost-in-mid-stream", Severity.WARNING, "Flows that are tracked again are lost in mid-stream."),
        ("HZ017", "not-looked-for", Severity.WARNING, "What breaks was not looked for to the end."),
        ("HZ018", "let-through", Severity.WARNING, "What was dropped or limited while it was new is let through."),
        ("HZ019", "past-the-proxy", Severity.WARNING, "Packets no longer come to a transparent proxy."),
        ("HZ020", "unreachable-lost", Severity.WARNING, "ICMP errors of what is unreachable become invalid: dropped."),
        ("HZ021", "decided-first", Severity.WARNING, "Others' rules decide first about what is to be bypassed."),
    )
)
BY_CODE: Final = {code.code: code for code in CODES}
