"""`ctpolicy diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ctpolicy.cli.host import read_live
from ctpolicy.cli.options import as_json, netns
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.errors import InputError
from ctpolicy.language.load import load_files
from ctpolicy.plan.dump import is_dump
from ctpolicy.plan.live import live_side
from ctpolicy.plan.side import Side, compare_within, policy_side
from ctpolicy.plan.traffic import traffic_json, traffic_lines

LIVE: Final = "live"
DIFFERENT: Final = 8
MOST_WORK: Final = 50_000_000


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@netns
@as_json
def command(before: str, after: str, netns: str | None, as_json: bool) -> int:
    """Show the packets that two sides treat differently.

    Each side is a policy, a file with what `nft -j list ruleset` printed (- for standard input), or the word `live`
    for this host's whole ruleset. Exits with 0 if both leave the same packets untracked, and with 8 if not.

    \b
      ctpolicy diff old.yaml new.yaml
      ssh worker nft -j list ruleset | ctpolicy diff - examples/openshift-worker.yaml
      sudo ctpolicy diff live examples/openshift-worker.yaml
    """
    traffic = compare_within(lambda: _side(before, netns), lambda: _side(after, netns), MOST_WORK)
    if traffic.is_too_large:
        raise InputError("These are too many different packets to compare exactly. Compare parts of the policy.")
    if as_json:
        print_json(traffic_json(traffic))
        return DIFFERENT if traffic else 0
    if not traffic:
        click.echo("Both leave the same packets untracked" + (", as far as can be told." if traffic.unknown else "."))
    print_lines(traffic_lines(traffic))
    return DIFFERENT if traffic else 0


def _side(name: str, netns: str | None) -> Side:
    if name == LIVE:
        return live_side(read_live(netns))
    if name == "-" or _is_listing(Path(name)):
        return live_side(read_live(None, Path(name)))
    return policy_side(load_files([Path(name)]))


def _is_listing(path: Path) -> bool:
    """Whether a file begins as a saved listing does: nft's JSON or iptables' comments, which no policy begins with."""
    try:
        with path.open("rb") as stream:
            return is_dump(stream.read(256).decode(errors="replace"))
    except OSError:
        return False  # load_files tells it
