"""From what was gathered of a host to all that there is to say of it."""

from __future__ import annotations

from itertools import chain

from ctpolicy.doctor.facts import Facts
from ctpolicy.doctor.finding import Finding
from ctpolicy.doctor.kernel_parts import kernel_findings, tool_findings
from ctpolicy.doctor.ours import own_findings
from ctpolicy.doctor.settings import settings_findings
from ctpolicy.doctor.table import table_findings
from ctpolicy.doctor.use import namespace_findings, other_findings, use_findings

_ASK = (
    kernel_findings,
    tool_findings,
    settings_findings,
    table_findings,
    use_findings,
    other_findings,
    namespace_findings,
    own_findings,
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, by what it is about."""
    return tuple(chain.from_iterable(ask(facts) for ask in _ASK))
