"""`ctpolicy confirm`."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.apply.confirmation import confirm
from ctpolicy.cli.host import state_of
from ctpolicy.cli.options import lock_wait, netns, state


@click.command("confirm")
@netns
@lock_wait
@state
def command(netns: str | None, lock_wait: float, state: Path | None) -> None:
    """Keep what `apply --confirm` has made live.

    Run it from a new connection: that one can be made is what has to be shown.

    \b
      sudo ctpolicy confirm
    """
    kept = confirm(state_of(netns, state), lock_wait)
    click.echo(f"Confirmed: change {kept.number} stays, also after a reboot.")
