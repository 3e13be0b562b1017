"""`ctpolicy validate`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from ctpolicy.cli.options import as_json, policies
from ctpolicy.cli.output import print_json
from ctpolicy.language.diagnostics import Diagnostic, PolicyError, harmless
from ctpolicy.language.load import load_files
from ctpolicy.review.finding import Finding, finding_json, found_within
from ctpolicy.review.lints import lints

MOST_WORK: Final = 1_000_000
"""What the lints may cost here: a second or two. `ctpolicy lint` takes its time."""


@click.command("validate")
@policies
@as_json
def command(policies: tuple[Path, ...], as_json: bool) -> int:
    """Check policies, and what they expect.

    Syntax, schema, meaning and expectations: every mistake is told, with its place. Several files are one policy.
    What `ctpolicy lint` finds is told too, on standard error or among the JSON, and is no mistake.
    Needs no privilege and touches no host.

    \b
      ctpolicy validate examples/openshift-worker.yaml
      ctpolicy validate base.yaml site.yaml
    """
    try:
        policy = load_files(policies)
    except PolicyError as error:
        if not as_json:
            raise
        print_json(_document(error.diagnostics, None))
        return error.exit_status
    found = found_within(lambda: lints(policy), MOST_WORK)
    if as_json:
        print_json(_document((), found))
    else:
        counts = f"{len(policy.bypass)} bypass, {len(policy.track)} track, {len(policy.expect)} expectations hold"
        click.echo(f"{policy.name}: valid ({counts})")
        if found is None:
            click.echo("A large policy: `ctpolicy lint` tells what is valid and probably not meant.", err=True)
        for finding in found or ():
            click.echo(harmless(str(finding)), err=True)
    return 0


def _document(diagnostics: Iterable[Diagnostic], found: list[Finding] | None) -> dict[str, Any]:
    return {
        "apiVersion": "ctpolicy.diagnostics/v1",
        "diagnostics": list(map(_json, diagnostics)),
        "findings": None if found is None else list(map(finding_json, found)),
    }


def _json(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    }
