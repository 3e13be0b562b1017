"""`ctpolicy await-confirmation`: what `apply --confirm` starts, and nobody else."""

from __future__ import annotations

from pathlib import Path

import click

from ctpolicy.apply.confirmation import wait_and_take_back
from ctpolicy.apply.timer import say_that_it_is_there
from ctpolicy.cli.host import backend_named, doors_of
from ctpolicy.cli.options import backend, netns, state


@click.command("await-confirmation", hidden=True)
@click.argument("number", type=int)
@netns
@backend
@state
def command(number: int, netns: str | None, backend: str | None, state: Path | None) -> None:
    """Take a change back when its time is up, unless it was confirmed."""
    chosen = backend_named(backend)
    doors = doors_of(chosen, netns, state)
    say_that_it_is_there(doors.state.directory_of(doors.state.change(number)))
    wait_and_take_back(number, chosen, doors)
