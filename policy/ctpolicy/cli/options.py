"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ctpolicy.apply.lock import LOCK_WAIT
from ctpolicy.errors import InputError
from ctpolicy.packetspace.packet import NotationError, Packet, parse_packet

POLICY_PATH: Final = click.Path(path_type=Path)

policies = click.argument("policies", metavar="POLICY...", nargs=-1, required=True, type=POLICY_PATH)
optional_policies = click.argument("policies", metavar="[POLICY]...", nargs=-1, type=POLICY_PATH)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes = click.option("--yes", is_flag=True, help="Do not ask.")
netns = click.option("--netns", metavar="NAME|PATH", help="Work in this network namespace, by name (ip netns) or path.")
live_dump = click.option(
    "--live",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Instead of this host, take what `nft -j list ruleset` printed, or `iptables-save`, `ip6tables-save` and "
    "`ipset save` one after the other (- for standard input).",
)
backend = click.option(
    "--backend",
    type=click.Choice(("nftables", "iptables-legacy", "iptables-nft")),
    help="What keeps the rules; nftables if not said.",
)
no_ipset = click.option("--no-ipset", is_flag=True, help="With iptables: no ipsets, but a rule for each element.")
detailed_exitcode = click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 10, not 0, if changes are pending."
)
state = click.option(
    "--state",
    metavar="DIR",
    envvar="CTPOLICY_STATE",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep snapshots and locks here, not in /var/lib/ctpolicy and /run/ctpolicy (or say so in CTPOLICY_STATE).",
)
lock_wait = click.option(
    "--lock-wait", metavar="SECONDS", type=click.FloatRange(0), default=LOCK_WAIT, show_default=True,
    help="How long to wait for another ctpolicy.",
)  # fmt: skip

FOUND: Final = 8
CHANGES_PENDING: Final = 10


LARGEST_LISTING: Final = 1 << 28
"""Bytes of a saved listing; of 100,000 elements in sets it is 10 MB."""


def read_file(path: Path) -> str:
    """The text of a saved listing.

    Raises:
        InputError: it cannot be read, is too large, or is no text.
    """
    try:
        with click.open_file(str(path), "rb") as stream:
            content = stream.read(LARGEST_LISTING + 1)
        if len(content) > LARGEST_LISTING:
            raise InputError(f"{path} is larger than {LARGEST_LISTING >> 20} MiB, which no listing is.")
        return str(content.decode())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def packet_of(text: str) -> Packet:
    """The packet that an argument is.

    Raises:
        InputError: it is none.
    """
    try:
        return parse_packet(text)
    except NotationError as error:
        raise InputError(f"{text}\n{' ' * error.offset}^ {error.reason}") from error
