"""`ctpolicy import`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ctpolicy.cli.host import read_live
from ctpolicy.cli.options import netns
from ctpolicy.errors import InputError
from ctpolicy.importing.space_to_policy import import_untracked
from ctpolicy.language.diagnostics import harmless
from ctpolicy.language.names import is_name
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.live import Live

FOUND: Final = 8
MOST_WORK: Final = 200_000_000
"""Some minutes; see packetspace.space.bounded."""


@click.command("import")
@click.argument("source", metavar="[FILE|live]", default="live")
@netns
@click.option("--name", metavar="NAME", default="imported", show_default=True, help="The policy's name.")
def command(source: str, netns: str | None, name: str) -> int:
    """Make a policy of what a ruleset leaves untracked.

    The ruleset is this host's, or what `nft -j list ruleset` printed (- for standard input). The policy means exactly
    the packets that it leaves untracked, which is proved before it is printed. What cannot be said is told in comments
    and on standard error, and makes the exit status 8.

    \b
      sudo ctpolicy import > policy.yaml
      ssh worker nft -j list ruleset | ctpolicy import - --name worker
    """
    if not is_name(name):
        raise InputError(f"`{name}` cannot name a policy: small letters, digits and `-`, beginning with a letter.")
    live = _live(source, netns)
    try:
        with bounded(MOST_WORK):
            imported = import_untracked(live.untracked(), name)
    except TooLargeError:
        raise InputError("This ruleset tells too many different packets apart to be imported.") from None
    for line in imported.text.splitlines():
        click.echo(harmless(line))
    for line in imported.remarks():
        click.echo(harmless(line), err=True)
    return 0 if imported.is_complete else FOUND


def _live(source: str, netns: str | None) -> Live:
    if source == "live":
        return read_live(netns)
    if netns is not None:
        raise InputError("Either --netns or a file: a saved listing is of no namespace.")
    return read_live(None, Path(source))
