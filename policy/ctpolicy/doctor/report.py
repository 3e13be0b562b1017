"""Findings as people read them, and as JSON by schemas/doctor-v1.schema.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from ctpolicy.doctor.finding import Finding, Severity

_WIDTH: Final = max(len(severity.value) for severity in Severity)
_NOUNS: Final = {Severity.FAULT: ("fault", "faults"), Severity.WARNING: ("warning", "warnings")}


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """By what they are about, and then how many of each severity there are."""
    for area, found in groupby(findings, key=lambda finding: finding.area):
        yield area.value
        for finding in found:
            yield from _lines(finding)
        yield ""
    yield _summary(findings)


def findings_json(findings: Iterable[Finding], release: str, namespace: str) -> dict[str, Any]:
    """The same as one object.

    Args:
        findings: all of them.
        release: of the kernel.
        namespace: the network namespace that was asked for; empty for the one that we are in.
    """
    return {
        "apiVersion": "ctpolicy.doctor/v1",
        "kernel": release,
        "namespace": namespace or None,
        "findings": list(map(_json, findings)),
    }


def _lines(finding: Finding) -> Iterator[str]:
    indent = " " * (2 + _WIDTH + 2)
    yield f"  {finding.severity.value:<{_WIDTH}}  {finding.message}"
    yield from (f"{indent}  {line}" for line in finding.details)
    if finding.advice:
        yield f"{indent}{finding.advice}"
    yield from (f"{indent}$ {line}" for line in finding.commands)


def _summary(findings: Iterable[Finding]) -> str:
    count = Counter(finding.severity for finding in findings)
    faults, warnings = (
        f"{count[severity]} {_NOUNS[severity][count[severity] != 1]}" for severity in (Severity.FAULT, Severity.WARNING)
    )
    return f"{faults}, {warnings}, {count[Severity.UNKNOWN]} not seen, {count[Severity.FINE]} fine."


def _json(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "area": finding.area.name.lower(),
        "severity": finding.severity.value,
        "message": finding.message,
        "details": list(finding.details),
        "advice": finding.advice or None,
        "commands": list(finding.commands),
    }
