"""`ctpolicy restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ctpolicy.apply.protocol import Doors
from ctpolicy.apply.recovery import restore
from ctpolicy.cli.host import backend_named, doors_of, state_of
from ctpolicy.cli.options import lock_wait, netns, state
from ctpolicy.cli.output import print_lines
from ctpolicy.netfilter.backend import Backend


@click.command("restore")
@netns
@lock_wait
@state
def command(netns: str | None, lock_wait: float, state: Path | None) -> None:
    """Make live again what was applied last, as after a reboot.

    It needs no policy. What was applied with --confirm and not confirmed is not restored. `ctpolicy install-service`
    has it run at boot.

    \b
      sudo ctpolicy restore
    """

    def reach(name: str) -> tuple[Backend[Any], Doors[Any]]:
        chosen = backend_named(name)
        return chosen, doors_of(chosen, netns, state)

    done = restore(state_of(netns, state), reach, lock_wait)
    print_lines(done or ["Nothing was ever applied here, so there is nothing to restore."])
