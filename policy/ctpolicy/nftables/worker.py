"""The child in which libnftables runs: whatever it does to itself, it does not do to ctpolicy.

    python -I -m ctpolicy.nftables.worker list|ruleset|run [NAMESPACE]

`list` prints the listing of our table as JSON, or nothing if there is no such table. `ruleset` prints that of all
tables. `run` takes libnftables JSON on standard input and runs it as one transaction. NAMESPACE is the path of a
network namespace to work in. What went wrong is on standard error, and the exit status is one of those below.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME

if TYPE_CHECKING:
    from nftables import Nftables

_CLONE_NEWNET: Final = 0x40000000


class WorkerStatus(IntEnum):
    """Exit statuses. 1 and 2 are Python's own; anything else is a crash."""

    DONE = 0
    REFUSED = 10
    """libnftables or the kernel said no; nothing was changed."""
    NO_LIBRARY = 11
    NO_NAMESPACE = 12


class _GivenUpError(Exception):
    def __init__(self, status: WorkerStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the exit status."""
    mode, *namespace = arguments
    try:
        if namespace:
            _enter(namespace[0])
        context = _context()
        if mode == "list":
            sys.stdout.write(_list(context))
        elif mode == "ruleset":
            sys.stdout.write(_command(context, _ask({"ruleset": None})))
        else:
            _run(context, sys.stdin.read())
    except _GivenUpError as error:
        sys.stderr.write(f"{error}\n")
        return error.status
    return WorkerStatus.DONE


def _enter(path: str) -> None:
    """Join a network namespace. (os.setns is newer than Python 3.11.)"""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _GivenUpError(WorkerStatus.NO_NAMESPACE, f"{error.strerror}") from error
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise _GivenUpError(WorkerStatus.NO_NAMESPACE, os.strerror(ctypes.get_errno()))
    os.close(descriptor)


def _context() -> Nftables:
    try:
        from nftables import Nftables

        context = Nftables()
    except (ImportError, OSError, AttributeError) as error:
        raise _GivenUpError(WorkerStatus.NO_LIBRARY, str(error)) from error
    context.set_json_output(True)
    context.set_handle_output(True)
    # Numbers, because names depend on the host's /etc/protocols.
    context.set_numeric_proto_output(True)
    return context


def _command(context: Nftables, text: str) -> str:
    status, output, error = context.cmd(text)
    if status != 0:
        raise _GivenUpError(WorkerStatus.REFUSED, error or f"libnftables returned {status} without a word")
    return str(output)


def _list(context: Nftables) -> str:
    """Our table's listing. That there is none is read off the list of tables, never off an error's text.

    That list is asked for only where listing ours fails, because libnftables fetches all that is in the tables to make
    it, which takes as long as the listing itself (nft 1.0.6).
    """
    ours = {"family": TABLE_FAMILY, "name": TABLE_NAME}
    try:
        return _command(context, _ask({"table": ours}))
    except _GivenUpError:
        tables: list[dict[str, Any]] = json.loads(_command(context, _ask({"tables": None})))["nftables"]
        if any(ours.items() <= listed.get("table", {}).items() for listed in tables):
            raise
        return ""


def _ask(what: dict[str, Any]) -> str:
    return json.dumps({"nftables": [{"list": what}]})


def _run(context: Nftables, document: str) -> None:
    _command(context, document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
