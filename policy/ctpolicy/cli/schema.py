"""`ctpolicy schema`."""

from __future__ import annotations

import click

from ctpolicy.cli.output import print_json
from ctpolicy.language.schema import SCHEMAS, shipped_schema


@click.command("schema")
@click.argument("name", metavar="[NAME]", type=click.Choice(SCHEMAS), default="policy")
def command(name: str) -> None:
    """Print a JSON Schema: that of policies or invariants, or of what a command prints with --json or writes.

    NAME is policy (the default), invariants, plan, diff, explain, status, history, drain, lint, diagnostics, which is
    what validate prints, or saved-plan, which is what `plan --out` writes.

    \b
      ctpolicy schema > policy-v1.schema.json
      ctpolicy schema lint
    """
    print_json(shipped_schema(name))
