"""What the doctor has to say: one finding, how much it matters, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How much a finding matters; the value is the word for it."""

    FAULT = "fault"
    """Something does not work, or is about to stop."""
    WARNING = "warning"
    """Something works, and will not always."""
    UNKNOWN = "unknown"
    """It could not be seen."""
    FINE = "fine"


class Area(Enum):
    """What a finding is about; the value is the heading."""

    KERNEL = "kernel"
    TOOLS = "tools"
    SETTINGS = "settings of conntrack"
    TABLE = "conntrack table"
    USE = "who uses conntrack here"
    OTHERS = "others' rules"
    NAMESPACES = "network namespaces"
    OURS = "ctpolicy itself"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is so.

    Args:
        code: what kind of finding it is, such as `table-fill`.
        area: what it is about.
        severity: how much it matters.
        message: what is so, in a sentence.
        advice: what to do, in a sentence; empty if there is nothing to be done.
        commands: the same for a shell, to be pasted.
        details: lines that show it, such as rules.
    """

    code: str
    area: Area
    severity: Severity
    message: str
    advice: str = ""
    commands: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


def has_fault(findings: Iterable[Finding]) -> bool:
    """Whether anything is broken."""
    return any(finding.severity is Severity.FAULT for finding in findings)
