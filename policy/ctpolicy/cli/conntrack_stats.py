"""`ctpolicy conntrack stats`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ctpolicy.cli.options import as_json, netns
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.conntrack.shares import read_shares
from ctpolicy.conntrack.statistics_report import survey_json, survey_lines
from ctpolicy.conntrack.survey import Survey, survey_live, survey_saved, survey_shares
from ctpolicy.errors import InputError
from ctpolicy.namespaces import namespace_path

DEADLINE: Final = 15.0
"""Seconds of reading a live table; a million entries take about half of that."""

TOP: Final = 10
"""How many `head` prints."""


@click.command("stats")
@click.argument("dump", metavar="[FILE|-]", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--top", "number", metavar="N", type=click.IntRange(1, 1000), default=TOP, show_default=True,
              help="How many sources, destinations and ports to show.")  # fmt: skip
@click.option("--interval", metavar="SECONDS", type=click.FloatRange(0, 3600, min_open=True),
              help="Watch for so long, and tell what is counted as rates too.")  # fmt: skip
@click.option("--sample", metavar="N", type=click.IntRange(1), help="Read only so many entries of a live table.")
@click.option("--deadline", metavar="SECONDS", type=click.FloatRange(0, min_open=True), default=DEADLINE,
              show_default=True, help="Read a live table for so long, and tell what was read until then.")  # fmt: skip
@netns
@as_json
def command(
    dump: Path | None,
    number: int,
    interval: float | None,
    sample: int | None,
    deadline: float,
    netns: str | None,
    as_json: bool,
) -> None:
    """Show how full the conntrack table is, and of what.

    Of the live table: its size, limits, memory, and what was counted since boot. Of it, or of a saved one (FILE, or -
    for standard input): entries by protocol, TCP by state, who makes them, and to where. A saved table is what
    `conntrack -L` printed (plain, -o extended or -o xml), or /proc/net/nf_conntrack.

    \b
      sudo ctpolicy conntrack stats
      sudo ctpolicy conntrack stats --sample 20000 --interval 5
      conntrack -L -o extended | ctpolicy conntrack stats -
    """
    if dump is None:
        survey = _live(number, interval, sample, deadline, netns)
    elif interval is not None or sample is not None or netns is not None:
        raise InputError("--interval, --sample and --netns are of a live table, not of a file.")
    else:
        survey = _saved(dump, number)
    if as_json:
        print_json(survey_json(survey))
    else:
        print_lines(survey_lines(survey))


def _live(number: int, interval: float | None, sample: int | None, deadline: float, netns: str | None) -> Survey:
    namespace = namespace_path(netns) if netns is not None else None
    return survey_live(Conntrack(namespace), KernelFacts(namespace), number, sample, deadline, interval)


def _saved(dump: Path, number: int) -> Survey:
    try:
        if dump.is_file():
            return survey_shares(read_shares(dump), number)
        with click.open_file(str(dump), "rb") as stream:  # standard input, or a pipe
            return survey_saved(stream, number)
    except OSError as error:
        raise InputError(f"{dump} cannot be read: {error.strerror or error}.") from error
