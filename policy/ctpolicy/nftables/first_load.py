"""What libnftables makes of a document where no table of ours is: the inverse of rendering it for there."""

from __future__ import annotations

from typing import Any

from ctpolicy.errors import InputError
from ctpolicy.nftables.ours import TABLE_FAMILY, TABLE_NAME
from ctpolicy.nftables.read import read_document
from ctpolicy.nftables.ruleset import Table


def after_first_load(document: Any) -> Table | None:
    """The table that a kernel without one has then; None if the document does nothing.

    Raises:
        InputError: it does anything but adding to our table.
    """
    match document:
        case {"nftables": list(commands)}:
            tables = read_document({"nftables": [_added(command) for command in commands]})
        case _:
            raise InputError("This is not one transaction of libnftables.")
    match tables:
        case ():
            return None
        case (Table(family, name) as table,) if (family, name) == (TABLE_FAMILY, TABLE_NAME):
            return table
    raise InputError(f"This is about other tables than {TABLE_FAMILY} {TABLE_NAME}.")


def _added(command: Any) -> Any:
    match command:
        case {"add": dict(added)} if len(command) == 1 and "element" not in added:
            return added
    raise InputError(f"`{str(command)[:80]}` is no command that adds an object.")
