"""`ctpolicy drain`."""

from __future__ import annotations

import click

from ctpolicy.cli.existing import pointless_now
from ctpolicy.cli.host import backend_named, conntrack_of, read_live
from ctpolicy.cli.options import as_json, backend, netns, yes
from ctpolicy.cli.output import may_go_on, print_json, print_lines
from ctpolicy.conntrack.drain import SECONDS, Drained, count, drain
from ctpolicy.conntrack.report import counted_lines, drain_json, drained_line


@click.command("drain")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option(
    "--deadline",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=SECONDS,
    show_default=True,
    help="End after so many seconds of deleting, whatever is left.",
)
@netns
@backend
@yes
@as_json
def command(dry_run: bool, deadline: float, netns: str | None, backend: str | None, yes: bool, as_json: bool) -> None:
    """Delete the conntrack entries that the live bypass makes pointless.

    Traffic that is bypassed leaves the entries that it had, until they time out. Those whose packets are all untracked
    now, in both directions, are counted by policy entry and deleted; on a terminal you are asked first. Entries of NAT,
    of helpers, in flow tables and in zones stay, and so does what is bypassed on some interfaces only.

    \b
      sudo ctpolicy drain --dry-run
      sudo ctpolicy drain --yes --deadline 10
    """
    chosen = backend_named(backend)
    conntrack = conntrack_of(netns)
    pointless = pointless_now(chosen, read_live(netns, backend=chosen), conntrack)
    counted = count(conntrack.entries(), pointless)
    if not as_json:
        print_lines(counted_lines(counted))
    question = f"Delete {'it' if counted.number == 1 else 'them'}?"
    drained: Drained | None = None
    if counted and not dry_run:
        if may_go_on(question, yes, to_errors=as_json):
            drained = drain(conntrack, pointless, counted, deadline)
        elif not as_json:
            click.echo("Nothing was deleted.")
    if as_json:
        print_json(drain_json(counted, drained))
    elif drained is not None:
        click.echo(drained_line(drained))
    error = drained.error() if drained is not None else None
    if error is not None:
        raise error
