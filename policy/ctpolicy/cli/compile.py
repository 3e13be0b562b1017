"""`ctpolicy compile`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.cli.options import policies
from ctpolicy.cli.output import print_json
from ctpolicy.language.load import load_files
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text


@click.command("compile")
@policies
@click.option(
    "--format",
    "form",
    type=click.Choice(["nft", "json"]),
    default="nft",
    show_default=True,
    help="Text for `nft -f`, or JSON for `nft -j -f` and libnftables.",
)
def command(policies: tuple[Path, ...], form: str) -> None:
    """Print the ruleset that a policy compiles to.

    A host without Python can load it, and it takes the place of any other of ours. The same policy always gives the
    same bytes. Needs no privilege and touches no host.

    \b
      ctpolicy compile examples/openshift-worker.yaml > worker.nft
      nft -f worker.nft
      ctpolicy compile --format json examples/openshift-worker.yaml | nft -j -f -
    """
    table = compile_policy(load_files(policies))
    if form == "json":
        print_json(load_document(table))
    else:
        click.echo(text(table), nl=False)
