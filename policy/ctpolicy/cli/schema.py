"""`ctpolicy schema`."""

from __future__ import annotations

import click

from ctpolicy.cli.output import print_json
from ctpolicy.language.schema import policy_schema


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of policies.

    \b
      ctpolicy schema > policy-v1.schema.json
    """
    print_json(policy_schema())
