"""`ctpolicy advise`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import click

from ctpolicy.apply.files import write_file
from ctpolicy.cli.host import backend_named, conntrack_of, read_live
from ctpolicy.cli.options import POLICY_PATH, as_json, backend, live_dump, netns, read_file
from ctpolicy.cli.output import print_json, print_lines, tell
from ctpolicy.cli.surroundings import read_listings
from ctpolicy.conntrack.addresses import HostAddresses
from ctpolicy.conntrack.advice import Advice, Candidate, Dependences, Verdict, advise, nothing_known
from ctpolicy.conntrack.advice_report import Written, advice_json, advice_lines, remark
from ctpolicy.conntrack.advice_rules import rules_of
from ctpolicy.conntrack.entry import Entry
from ctpolicy.conntrack.guessing import SAMPLE, guessed_addresses
from ctpolicy.conntrack.inventory import take_inventory
from ctpolicy.conntrack.pointless import Pointless
from ctpolicy.conntrack.saved_entries import LONGEST, Unread, saved_entries
from ctpolicy.errors import CtpolicyError, HostError, InputError
from ctpolicy.importing.naming import named
from ctpolicy.importing.text import entry_lines, policy_text
from ctpolicy.language.load import load_files, load_text
from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.backend import Backend
from ctpolicy.packetspace.diagram import TooLargeError
from ctpolicy.packetspace.space import bounded
from ctpolicy.plan.dump import parts_of, read_dump
from ctpolicy.plan.firewalls import firewalls
from ctpolicy.plan.live import Live
from ctpolicy.plan.side import MOST_WORK

NAME: Final = "advised"
"""The name of the policy that is written, and the beginning of what is said of it."""


@click.command("advise")
@click.argument("source", metavar="[FILE|-]", required=False, type=click.Path(path_type=Path, allow_dash=True))
@netns
@live_dump
@backend
@click.option(
    "--policy",
    "policies",
    metavar="POLICY",
    multiple=True,
    type=POLICY_PATH,
    help="A policy that there is already: what it bypasses, tracks or protects is not advised. May be given again.",
)
@click.option(
    "--local",
    metavar="ADDRESS,...",
    help="This host's addresses and prefixes, for a table from a FILE; guessed from the table if not said.",
)
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Show so many candidates.",
)
@click.option(
    "--write", metavar="FILE", type=click.Path(path_type=Path), help="Write a policy of those that are shown and safe."
)
@click.option("--force", is_flag=True, help="With --write: replace a file that is there.")
@as_json
def command(
    source: Path | None,
    netns: str | None,
    live: Path | None,
    backend: str | None,
    policies: tuple[Path, ...],
    local: str | None,
    top: int,
    write: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Advise what may bypass conntrack, from what is in its table.

    The candidates are ranked: those that are safe by how many entries they would save, then those that a stateful
    firewall would drop without a rule of their own, then those that are not safe, all with the reasons. Nothing is
    changed.

    The table is this host's, or what `conntrack -L` printed (- for standard input); the latter needs no privilege, and
    says nothing of the host's rules, unless --live has these.

    \b
      sudo ctpolicy advise
      sudo ctpolicy advise --write policy.yaml && ctpolicy plan policy.yaml
      ssh worker conntrack -L | ctpolicy advise - --local 192.168.7.71
    """
    if write is not None and write.exists() and not force:
        raise InputError(f"{write} is there already: --force replaces it.")
    if source is not None and netns is not None and live is not None:
        raise InputError("Either --netns or --live: a saved listing is of no namespace.")
    if source is not None and str(source) == "-" == str(live):
        raise InputError("The table and the listing cannot both come from standard input.")
    policy = load_files(policies) if policies else None
    host = _Host(source, netns, live, backend_named(backend))
    found = host.advice(policy, local)
    written = _written(found.candidates)
    shown = written[:top]
    if as_json:
        print_json(advice_json(found, shown, host.guessed))
    else:
        print_lines(advice_lines(found, shown))
    if write is not None:
        _write(write, [one for one in shown if one.candidate.verdict is Verdict.SAFE], found.total, quiet=as_json)


class _Host:
    """What is known of the host whose table it is."""

    def __init__(self, source: Path | None, netns: str | None, live: Path | None, chosen: Backend[Any]) -> None:
        self._source = source
        self._netns = netns
        self._dump = live
        self._backend = chosen
        self._notes: list[str] = []
        self._unread = Unread()
        self.guessed: tuple[str, ...] | None = None

    def advice(self, policy: Policy | None, local: str | None) -> Advice:
        """The advice, from one reading of the table."""
        entries = self._entries()
        addresses, entries = self._addresses(local, entries)
        live, rules = self._rules(addresses)
        standing = list(self._standing(live, policy, addresses))
        found = take_inventory(entries, addresses, standing, is_guess=self.guessed is not None)
        self._note_what_is_unread(found.total)
        return advise(found, rules, policy, self._notes)

    def _note_what_is_unread(self, total: int) -> None:
        unread = self._unread
        told = f"line {unread.first} is no entry of `conntrack -L` or /proc/net/nf_conntrack: `{unread.text}`"
        if unread.number and not total:
            raise InputError(f"{self._source} has no conntrack table in it: {told}.")
        if unread.number:
            self._notes.append(f"{unread.number} lines could not be read; {told}.")
        if self._source is not None:
            self._notes.append("a saved table does not tell which connections a helper has expected.")

    @property
    def _is_running(self) -> bool:
        """Whether rules and addresses are those of a host that runs."""
        return self._source is None or self._netns is not None

    def _entries(self) -> Iterator[Entry]:
        if self._source is None:
            return conntrack_of(self._netns).entries()
        return saved_entries(_lines_of(self._source), self._unread)

    def _addresses(self, local: str | None, entries: Iterator[Entry]) -> tuple[HostAddresses, Iterator[Entry]]:
        if local is not None:
            return _given(local), entries
        if self._is_running:
            return conntrack_of(self._netns).addresses(), entries
        sample = list(islice(entries, SAMPLE))
        addresses, self.guessed = guessed_addresses(sample)
        texts = ", ".join(self.guessed) or "none"
        self._notes.append(f"the host's addresses were guessed from its table ({texts}); say them with --local.")
        return addresses, chain(sample, entries)

    def _rules(self, addresses: HostAddresses) -> tuple[Live | None, Dependences]:
        """What is live, and what of it needs conntrack."""
        if self._dump is not None:
            text = read_file(self._dump)
            live, listings = read_dump(text), [] if text.lstrip().startswith("{") else list(parts_of(text))
        elif self._is_running:
            live = read_live(self._netns, backend=self._backend)
            listings, unread = read_listings(self._netns)
            self._notes += [f"not read: {reason}" for reason in dict.fromkeys([*live.unread, *unread])]
        else:
            self._notes.append(
                "the host's rules are not known: what its firewall or NAT needs is told with --live FILE."
            )
            return None, nothing_known
        try:
            return live, rules_of(firewalls(live, listings), addresses)
        except HostError as error:  # nft shows what iptables cannot, if less of it
            self._notes.append(f"not all rules of iptables could be read: {error}")
            return live, rules_of(firewalls(live, ()), addresses)

    def _standing(self, live: Live | None, policy: Policy | None, addresses: HostAddresses) -> Iterator[Pointless]:
        """What bypasses entries already."""
        try:
            with bounded(MOST_WORK):
                if live is not None:
                    own, foreign = live.own(self._backend), live.foreign(self._backend)
                    if own is not None or foreign.bypasses:
                        yield Pointless.now(self._backend, own, addresses, foreign.treatment)
                if policy is not None:
                    yield Pointless.now(self._backend, self._backend.compile(policy), addresses)
        except TooLargeError:
            self._notes.append("what is bypassed already was not told apart: the rules are about too many packets.")


def _given(local: str) -> HostAddresses:
    texts = [text.strip() for text in local.split(",") if text.strip()]
    try:
        return HostAddresses.of(str(ip_network(text)) for text in texts)
    except ValueError as error:
        raise InputError(f"--local takes addresses and prefixes with commas between them: {error}.") from error


def _lines_of(source: Path) -> Iterator[str]:
    """A text line by line; what is longer than any entry comes in pieces."""
    try:
        with click.open_file(str(source), encoding="utf-8", errors="replace") as stream:
            while line := stream.readline(LONGEST):
                yield line
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror}.") from error


def _written(candidates: Iterable[Candidate]) -> list[Written]:
    """The candidates as entries of one policy."""
    taken: set[str] = set()
    found = []
    for candidate in candidates:
        (entry,) = named([candidate.entry], "", taken)
        found.append(Written(replace(candidate, entry=entry), entry.name, tuple(entry_lines(entry))))
    return found


def _write(path: Path, safe: list[Written], total: int, *, quiet: bool) -> None:
    if not safe:
        if not quiet:
            tell("Nothing was written: no candidate is safe.")
        return
    remarks = [f"Advised by the conntrack table of one moment, of {total:,} entries. Read it before you apply it.", ""]
    remarks += [remark(one, total) for one in safe]
    text = policy_text(NAME, [one.candidate.entry for one in safe], [], remarks)
    try:
        load_text(text, str(path))
    except CtpolicyError as error:
        raise AssertionError(f"an advised policy is not valid: {error}") from error
    write_file(path, text.encode())
    if not quiet:
        tell(f"Wrote {len(safe)} {'entry' if len(safe) == 1 else 'entries'} to {path}. Next: ctpolicy plan {path}")
