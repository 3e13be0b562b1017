"""`ctpolicy drain`."""

from __future__ import annotations

from typing import Any

import click

from ctpolicy.cli.host import backend_named, conntrack_of, read_live
from ctpolicy.cli.options import as_json, backend, netns, yes
from ctpolicy.cli.output import may_go_on, print_json, print_lines
from ctpolicy.conntrack.drain import SECONDS, Drained, count, drain
from ctpolicy.conntrack.pointless import Pointless
from ctpolicy.conntrack.reader import Conntrack
from ctpolicy.conntrack.report import counted_lines, drain_json, drained_line
from ctpolicy.errors import HostError
from ctpolicy.netfilter.backend import Backend
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.live import Live
from ctpolicy.plan.side import MOST_WORK


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
    pointless = _pointless(chosen, read_live(netns, backend=chosen), conntrack)
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


def _pointless(backend: Backend[Any], live: Live, conntrack: Conntrack) -> Pointless:
    """What the live rules make pointless.

    Raises:
        HostError: they are not in force, not ours, or too large to be followed.
    """
    own = live.own(backend)
    backend.refuse_foreign(own)
    if own is None:
        raise HostError(f"Nothing of ctpolicy's is live here in {backend.name}: apply a policy first.")
    faults = tuple(backend.faults(own))
    if faults:
        raise HostError(f"The bypass is not in force ({'; '.join(faults)}): its entries may be in use.")
    try:
        with bounded(MOST_WORK):
            return Pointless.now(backend, own, conntrack.addresses(), live.foreign(backend).treatment)
    except TooLargeError as error:
        raise HostError(
            "The live rules have too many addresses and ports that belong together to tell which entries they concern. "
            "Delete those that you know of with `conntrack -D` and a filter."
        ) from error
