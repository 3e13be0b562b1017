"""`ctpolicy history`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.apply.history import history_json, history_lines
from ctpolicy.cli.host import state_of
from ctpolicy.cli.options import as_json, netns, state
from ctpolicy.cli.output import print_json, print_lines


@click.command("history")
@netns
@as_json
@state
def command(netns: str | None, as_json: bool, state: Path | None) -> None:
    """Show the last changes of this host.

    Each with its number, when and by whom it was made, and what came of it. `ctpolicy rollback N` goes back to what was
    live before change N.

    \b
      sudo ctpolicy history
    """
    remembered = state_of(netns, state)
    if as_json:
        print_json(history_json(remembered.changes()))
    else:
        print_lines(history_lines(remembered))
