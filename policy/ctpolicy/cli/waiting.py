"""A bar on the terminal for whoever waits; nothing where nobody does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Told = Callable[[int, int, str], None]
"""Is told how many parts are done, of how many, and what is begun."""


@contextmanager
def bar() -> Iterator[Told]:
    """What is told, on standard error while it is a terminal; the bar is gone afterwards."""
    if not sys.stderr.isatty():
        yield lambda _done, _of, _words: None
        return
    # Imported late: it takes longer than most commands.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")

        def told(done: int, of: int, words: str) -> None:
            # Words of ours, without markup: names from a policy do not come here.
            progress.update(task, completed=done, total=of, description=words)

        yield told
