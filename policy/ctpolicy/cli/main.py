"""`ctpolicy`: the group of commands, and the one place where errors become exit statuses."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from io import StringIO
from keyword import iskeyword
from typing import Final

import click

from ctpolicy import __version__
from ctpolicy.cli.output import print_error
from ctpolicy.errors import CtpolicyError

COMMANDS: Final = (
    "validate", "lint", "review", "compile", "plan", "apply", "confirm", "rollback", "history", "remove", "status",
    "conntrack", "advise", "drain", "metrics", "doctor",
    "recover", "restore", "explain", "trace", "diff", "import", "migrate", "install-service", "schema",
)  # fmt: skip

STARTED_BY_US: Final = ("await-confirmation",)
"""Commands that ctpolicy runs itself, which no list shows."""

BUG: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """Commands by name, each imported when it is called: most of them need only a part of what all would load."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order in which people use them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, from the module of its name."""
        if cmd_name not in COMMANDS + STARTED_BY_US:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name.replace("-", "_")
        command = import_module(f"ctpolicy.cli.{module}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the traceback of a bug.")
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli(debug: bool) -> None:
    """Keep traffic that needs no tracking out of conntrack.

    A policy in YAML says which traffic bypasses connection tracking; ctpolicy compiles it to raw-priority notrack
    rules, shows what would change on a host, and applies it.

    \b
      ctpolicy validate examples/openshift-worker.yaml
      ctpolicy plan examples/openshift-worker.yaml
      sudo ctpolicy apply examples/openshift-worker.yaml
      sudo ctpolicy status

    \b
    Exit statuses: 0 done or nothing to do, 1 a bug, 2 bad input, 3 apply failed and the host was put back,
    4 host left inconsistent, 5 the host cannot, 6 lock or deadline, 7 live state is not the plan's,
    8 something was found, 10 changes pending
    (with --detailed-exitcode).
    """


def main() -> None:
    """Run the command line and exit with its status."""
    # Large policies are many small objects that all stay; looking for garbage among them takes a third of the time.
    gc.set_threshold(50_000, 20, 100)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line; its exit status. Nothing but a bug with `--debug` shows a traceback."""
    try:
        status = cli.main(arguments, "ctpolicy", standalone_mode=False, color=_color())
    except CtpolicyError as error:
        print_error(str(error))
        return error.exit_status
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        told = StringIO()
        error.show(told)
        print_error(told.getvalue())
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except SystemExit:
        return 0  # click's way out when whoever reads our output has seen enough
    except Exception as error:
        if "--debug" in arguments:
            raise
        print_error(f"This is a bug of ctpolicy: {error!r}. Run it with `ctpolicy --debug` for the place.")
        return BUG
    return status if isinstance(status, int) else 0


def _color() -> bool | None:
    """None, for colour on a terminal alone, unless somebody wants none (no-color.org)."""
    return False if os.environ.get("NO_COLOR") else None
