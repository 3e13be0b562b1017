"""`ctpolicy lint`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from ctpolicy.cli.options import as_json, policies
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.errors import InputError
from ctpolicy.language.load import load_files
from ctpolicy.review.lints import Finding, Severity, lints_within

FOUND: Final = 8
MOST_WORK: Final = 50_000_000


@click.command("lint")
@policies
@as_json
def command(policies: tuple[Path, ...], as_json: bool) -> int:
    """Find entries that are valid and probably not meant.

    Each finding has a code, the entry's name and a packet that shows it. The exit status is 8 if there is a warning.
    Needs no privilege and touches no host.

    \b
      ctpolicy lint examples/openshift-worker.yaml
    """
    found = lints_within(load_files(policies), MOST_WORK)
    if found is None:
        raise InputError("These are too many different packets to lint exactly. Lint parts of the policy.")
    if as_json:
        print_json({"apiVersion": "ctpolicy.lint/v1", "findings": [_json(finding) for finding in found]})
    else:
        print_lines(map(str, found))
    return FOUND if any(finding.severity is Severity.WARNING for finding in found) else 0


def _json(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "entry": finding.entry,
        "message": finding.message,
        "witness": None if finding.witness is None else str(finding.witness),
    }
