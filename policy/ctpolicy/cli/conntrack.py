"""`ctpolicy conntrack`: a group of commands about the conntrack table, each in a module of its own."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = ("stats", "top")


class ConntrackGroup(click.Group):
    """Commands by name, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order in which people use them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, from the module of its name."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"ctpolicy.cli.conntrack_{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group("conntrack", cls=ConntrackGroup)
def command() -> None:
    """Look into the conntrack table: how full it is, and of what.

    \b
      sudo ctpolicy conntrack stats
      sudo ctpolicy conntrack top
    """
