"""`ctpolicy install-service`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ctpolicy.apply.service import unit
from ctpolicy.apply.unit_file import UNITS, remove_unit, this_service, write_unit
from ctpolicy.cli.options import backend
from ctpolicy.cli.output import print_lines
from ctpolicy.errors import InputError


@click.command("install-service")
@click.option("--print", "only_print", is_flag=True, help="Print the unit, and write nothing.")
@click.option("--remove", is_flag=True, help="Take the unit away.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=UNITS,
    show_default=True,
    help="Where systemd looks for units.",
)
@click.option(
    "--command",
    "path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The ctpolicy that the service runs; the one that you call if not said.",
)
@backend
def command(only_print: bool, remove: bool, directory: Path, path: Path | None, backend: str | None) -> None:
    """Write a systemd unit that restores the policy at boot.

    What was last confirmed is live again before the network carries traffic, and after other firewall services have
    started. Needs no policy file and no network. Say --backend iptables-legacy if that is what keeps the rules: it
    needs modules and a lock file.

    \b
      ctpolicy install-service --print
      sudo ctpolicy install-service
      sudo systemctl enable --now ctpolicy
      sudo ctpolicy install-service --remove
    """
    if only_print and remove:
        raise InputError("Either --print or --remove.")
    if remove:
        _remove(directory)
        return
    text = unit(this_service(path or _this_command(), backend == "iptables-legacy"))
    if only_print:
        print_lines(text.splitlines())
        return
    print_lines([f"Wrote {write_unit(text, directory)}. Now: systemctl daemon-reload; systemctl enable --now ctpolicy"])


def _remove(directory: Path) -> None:
    removed = remove_unit(directory)
    print_lines([f"Removed {removed}. Now: systemctl daemon-reload" if removed else "There is no such unit."])


def _this_command() -> Path:
    """What the user called, or else the command beside the interpreter."""
    called = Path(sys.argv[0])
    return called if called.name == "ctpolicy" and called.is_absolute() else Path(sys.prefix, "bin", "ctpolicy")
