"""`ctpolicy compile`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from ctpolicy.cli.host import backend_named
from ctpolicy.cli.options import backend, no_ipset, policies
from ctpolicy.cli.output import print_json
from ctpolicy.errors import HostError, InputError
from ctpolicy.iptables.backend import IptablesBackend
from ctpolicy.iptables.files import OURS, files
from ctpolicy.iptables.openshift import SPELLING, compile_openshift
from ctpolicy.iptables.ruleset import RawTables
from ctpolicy.language.diagnostics import harmless
from ctpolicy.language.load import load_files
from ctpolicy.language.policy import Policy
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.nftables.render_json import load_document
from ctpolicy.nftables.render_text import text

_OF_NFTABLES: Final = ("nft", "json")
_OF_IPTABLES: Final = ("iptables", "ip6tables", "ipsets", "load")
OPENSHIFT: Final = "openshift"


@click.command("compile")
@policies
@backend
@no_ipset
@click.option(
    "--format",
    "form",
    type=click.Choice([*_OF_NFTABLES, *_OF_IPTABLES]),
    help="nftables: text for `nft -f` (nft, the default), or JSON for `nft -j -f` and libnftables. iptables: one of "
    "the files (iptables is the default).",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIRECTORY",
    help="With iptables: write all files there; `sh DIRECTORY/load` loads them.",
)
@click.option("--style", type=click.Choice([OPENSHIFT]), help="With iptables: names and spelling of OpenShift SDN.")
def command(
    policies: tuple[Path, ...],
    backend: str | None,
    no_ipset: bool,
    form: str | None,
    output: Path | None,
    style: str | None,
) -> None:
    """Print the ruleset that a policy compiles to.

    A host without Python can load it, and it takes the place of any other of ours. The same policy always gives the
    same bytes. Needs no privilege and touches no host.

    \b
      ctpolicy compile examples/openshift-worker.yaml > worker.nft
      nft -f worker.nft
      ctpolicy compile --format json examples/openshift-worker.yaml | nft -j -f -
      ctpolicy compile --backend iptables-nft --output worker examples/openshift-worker.yaml
    """
    chosen = backend_named(backend, not no_ipset)
    policy = load_files(policies)
    if isinstance(chosen, IptablesBackend):
        _refuse(form, _OF_NFTABLES, chosen.name)
        _print_files(dict(_files(policy, chosen, style)), form, output)
        return
    _refuse(form, _OF_IPTABLES, chosen.name)
    if output or style or no_ipset:
        raise InputError("--output, --style and --no-ipset are for iptables: add --backend iptables-legacy or -nft.")
    table = compile_policy(policy)
    if form == "json":
        print_json(load_document(table))
    else:
        click.echo(text(table), nl=False)


def _refuse(form: str | None, of_others: tuple[str, ...], backend: str) -> None:
    if form in of_others:
        raise InputError(f"--format {form} is not of --backend {backend}.")


def _files(policy: Policy, chosen: IptablesBackend, style: str | None) -> Iterable[tuple[str, str]]:
    if style == OPENSHIFT:
        return files(compile_openshift(policy), chosen.variant, SPELLING)
    return files(chosen.compile(policy) or RawTables(), chosen.variant, OURS)


def _print_files(texts: dict[str, str], form: str | None, output: Path | None) -> None:
    if output is None:
        click.echo(texts.get(form or "iptables", ""), nl=False)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in texts.items():
            (output / name).write_text(content)
    except OSError as error:
        raise HostError(f"{error.filename} cannot be written: {error.strerror}.") from error
    click.echo(harmless(f"Wrote {', '.join(texts)}. Load them with `sh {output / 'load'}`."))
