"""`ctpolicy lint`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from ctpolicy.cli.host import read_live
from ctpolicy.cli.options import POLICY_PATH, as_json, live_dump, netns
from ctpolicy.cli.output import print_json, print_lines
from ctpolicy.errors import InputError
from ctpolicy.language.load import load_files
from ctpolicy.review.finding import Finding, Severity, finding_json, found_within
from ctpolicy.review.lints import lints
from ctpolicy.review.live_lints import live_lints

LIVE: Final = Path("live")
FOUND: Final = 8
MOST_WORK: Final = 50_000_000


@click.command("lint")
@click.argument("sources", metavar="[POLICY|live]...", nargs=-1, type=POLICY_PATH)
@netns
@live_dump
@as_json
def command(sources: tuple[Path, ...], netns: str | None, live: Path | None, as_json: bool) -> int:
    """Find what is valid and probably not meant.

    In policies: entries that do nothing, cover too little or too much. In live nftables rules of others (the word
    `live`, --netns or --live FILE): a notrack that does nothing where it stands, and flows of which half is tracked.
    Each finding has a code, the entry or the rule, and a packet that shows it where there is one. The exit status is 8
    if there is a warning. Policies and saved listings need no privilege and touch no host.

    \b
      ctpolicy lint examples/openshift-worker.yaml
      sudo ctpolicy lint live
      ssh worker nft -j list ruleset | ctpolicy lint --live -
    """
    policies = [source for source in sources if source != LIVE]
    asks_host = LIVE in sources or netns is not None
    if live is not None and asks_host:
        raise InputError("Either this host (live, --netns) or a saved listing (--live): not both.")
    if not (policies or asks_host or live):
        raise InputError("Nothing to lint: name a policy, `live`, or a saved listing with --live.")
    found: list[Finding] = []
    if policies:
        policy = load_files(policies)
        found += _exactly(lambda: lints(policy), "Lint parts of the policy.")
    if asks_host or live:
        ruleset = read_live(netns, live).tables
        found += _exactly(lambda: live_lints(ruleset), "Lint a listing of some of the tables.")
    if as_json:
        print_json({"apiVersion": "ctpolicy.lint/v1", "findings": list(map(finding_json, found))})
    else:
        print_lines(map(str, found))
    return FOUND if any(finding.severity is Severity.WARNING for finding in found) else 0


def _exactly(find: Callable[[], list[Finding]], remedy: str) -> list[Finding]:
    found = found_within(find, MOST_WORK)
    if found is None:
        raise InputError(f"These are too many different packets to lint exactly. {remedy}")
    return found
