"""`ctpolicy conntrack top`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final

import click

from ctpolicy.cli.host import backend_named, conntrack_of, host_of
from ctpolicy.cli.options import backend, netns
from ctpolicy.cli.output import print_lines
from ctpolicy.cli.repeated import Repeated
from ctpolicy.cli.terminal import Attention
from ctpolicy.cli.top_screen import console, draw, drawing, is_for_drawing
from ctpolicy.conntrack.facts import ConntrackFacts
from ctpolicy.conntrack.kernel_facts import KernelFacts
from ctpolicy.conntrack.top import Reading, View, view
from ctpolicy.conntrack.top_reading import Reader
from ctpolicy.conntrack.top_report import lines
from ctpolicy.namespaces import namespace_path
from ctpolicy.netfilter.backend import Counted

_INTERVAL: Final = 2.0
_SHORTEST: Final = 0.2


@click.command("top")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(min=_SHORTEST),
    default=_INTERVAL,
    show_default=True,
    help="From one reading to the next; longer where readings take so long.",
)
@click.option("--once", is_flag=True, help="Print what one interval shows, and end.")
@netns
@backend
def command(interval: float, once: bool, netns: str | None, backend: str | None) -> None:
    """Watch the conntrack table at work.

    How full it is, how many entries are made and packets dropped in a second, who has most entries, and what each
    policy entry bypasses. Of a large table some entries are looked at, and numbers that are estimated from them have a
    `~`. On a terminal it is drawn in place; q or Ctrl-C ends it. Elsewhere each interval is a block of lines.

    \b
      sudo ctpolicy conntrack top
      sudo ctpolicy conntrack top --once --interval 10
    """
    facts = KernelFacts(namespace_path(netns) if netns else None)
    reader = Reader(facts, conntrack_of(netns), _counter(netns, backend))
    if once:
        _print_one(reader, facts, interval)
    elif is_for_drawing(sys.stdin is not None and sys.stdin.isatty()):
        _draw_each(reader, facts, interval, "ctpolicy conntrack top" + (f" in {netns}" if netns else ""))
    else:
        _print_each(reader, facts, interval)


def _counter(netns: str | None, name: str | None) -> Callable[[], Iterable[Counted]]:
    chosen = backend_named(name)
    host = host_of(chosen, netns)

    def counted() -> Iterable[Counted]:
        own = host.read()
        chosen.refuse_foreign(own)
        return chosen.counted(own)

    return counted


def _print_one(reader: Reader, facts: ConntrackFacts, interval: float) -> None:
    before = reader.read()
    facts.wait(interval)
    print_lines(lines(view(before, reader.read())))


def _print_each(reader: Reader, facts: ConntrackFacts, interval: float) -> None:
    before: Reading | None = None
    with Attention(keys=False) as attention, Repeated(reader.read, interval, attention.wake, facts.seconds) as readings:
        while not attention.is_ended:
            for now in readings:
                print_lines([*([""] if before is not None else []), *lines(view(before, now))])
                before = now
            attention.wait()


def _draw_each(reader: Reader, facts: ConntrackFacts, interval: float, title: str) -> None:
    on = console()
    shown: View | None = None
    before: Reading | None = None
    with Attention(keys=True) as attention, Repeated(reader.read, interval, attention.wake, facts.seconds) as readings:
        while not attention.is_ended:
            with drawing(on):
                while not (attention.is_ended or attention.is_suspended):
                    for now in readings:
                        shown, before = view(before, now), now
                    draw(on, shown, title)
                    attention.wait()
            if attention.is_suspended:
                attention.stop()
