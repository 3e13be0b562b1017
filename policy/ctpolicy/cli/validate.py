"""`ctpolicy validate`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import click

from ctpolicy.cli.options import as_json, policies
from ctpolicy.cli.output import print_json
from ctpolicy.language.diagnostics import Diagnostic, PolicyError, harmless
from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.review.finding import Finding, finding_json, found_within
from ctpolicy.review.lints import lints

MOST_WORK: Final = 1_000_000
"""What the lints may cost here: a second or two. `ctpolicy lint` takes its time."""


@click.command("validate")
@policies
@click.option("--each", is_flag=True, help="Take each file as a policy of its own, and do not merge them.")
@as_json
def command(policies: tuple[Path, ...], each: bool, as_json: bool) -> int:
    """Check policies, and what they expect.

    Syntax, schema, meaning and expectations: every mistake is told, with its place. Several files are one policy,
    unless --each says that they are several: then all of them are checked, whatever is wrong with one.
    What `ctpolicy lint` finds is told too, on standard error or among the JSON, and is no mistake.
    Needs no privilege and touches no host.

    \b
      ctpolicy validate examples/openshift-worker.yaml
      ctpolicy validate base.yaml site.yaml
      ctpolicy validate --each policies/*.yaml
    """
    found: list[Finding] | None = []
    mistakes: list[Diagnostic] = []
    for files in [(path,) for path in policies] if each else [policies]:
        try:
            policy = load_files(files)
        except PolicyError as error:
            mistakes += error.diagnostics
            continue
        more = found_within(partial(lints, policy), MOST_WORK)
        found = None if more is None or found is None else [*found, *more]
        if not as_json:
            _tell(policy, more, f"{files[0]}: " if each else "")
    if as_json:
        print_json(_document(mistakes, None if mistakes else found))
    elif mistakes:
        raise PolicyError(mistakes)
    return PolicyError.exit_status if mistakes else 0


def _tell(policy: Policy, found: list[Finding] | None, of: str) -> None:
    """That a policy is valid, and what the lints find."""
    counts = f"{len(policy.bypass)} bypass, {len(policy.track)} track, {len(policy.expect)} expectations hold"
    click.echo(harmless(f"{of}{policy.name}: valid ({counts})"))
    if found is None:
        click.echo(
            harmless(f"{of}A large policy: `ctpolicy lint` tells what is valid and probably not meant."), err=True
        )
    for finding in found or ():
        click.echo(harmless(f"{of}{finding}"), err=True)


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
