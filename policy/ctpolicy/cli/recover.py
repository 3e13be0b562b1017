"""`ctpolicy recover`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.protocol import Doors
from ctpolicy.apply.recovery import recover
from ctpolicy.cli.host import backend_named, doors_of, state_of
from ctpolicy.cli.options import lock_wait, netns, state
from ctpolicy.cli.output import print_lines
from ctpolicy.netfilter.backend import Backend


@click.command("recover")
@netns
@lock_wait
@state
def command(netns: str | None, lock_wait: float, state: Path | None) -> None:
    """Mend what an apply that was interrupted has left.

    What was done already is kept, and what is half done is put back to what was live before.

    \b
      sudo ctpolicy recover
    """

    def reach(name: str) -> tuple[Backend[Any], Doors[Any]]:
        chosen = backend_named(name)
        return chosen, doors_of(chosen, netns, state)

    found = recover(state_of(netns, state), reach, lock_wait)
    print_lines(found or ["Nothing was interrupted here."])
