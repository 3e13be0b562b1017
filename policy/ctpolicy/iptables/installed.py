"""Which of the iptables tools are installed, and by what names: distributions differ.

Each tool is looked for by its full name (`iptables-legacy-save`), then in the program that all tools of a variant are
(`xtables-legacy-multi iptables-save`), then by its plain name (`iptables-save`), which may be of either variant and has
to say of which.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from ctpolicy.iptables.ruleset import Variant
from ctpolicy.packetspace.fields import Family

TOOLS_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"

_PREFIX: Final = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
_VERSION_SAYS: Final = {Variant.LEGACY: "(legacy)", Variant.NFT: "(nf_tables)"}
_PATIENCE: Final = 10.0

Command = tuple[str, ...]
"""The beginning of a command line: an absolute path, and sometimes the tool's name after it."""


class Action(Enum):
    """What a tool does."""

    SAVE = "save"
    RESTORE = "restore"


def full_name(variant: Variant, family: Family, action: Action) -> str:
    """What a tool is called where both variants are installed: `ip6tables-legacy-restore`."""
    return f"{_PREFIX[family]}-{variant.value}-{action.value}"


def find_iptables(variant: Variant, family: Family, action: Action, path: str = TOOLS_PATH) -> Command | None:
    """How to run a tool of iptables; None if it is not installed.

    Args:
        variant: whose rules it shall see.
        family: likewise.
        action: what it shall do.
        path: directories to look in, as in the environment's PATH.
    """
    plain = f"{_PREFIX[family]}-{action.value}"
    for found in _programs(full_name(variant, family, action), path):
        return (str(found),)
    for found in _programs(f"xtables-{variant.value}-multi", path):
        return (str(found), plain)
    for found in _programs(plain, path):
        if _VERSION_SAYS[variant] in _version(found):
            return (str(found),)
    return None


def find_ipset(path: str = TOOLS_PATH) -> Command | None:
    """How to run ipset; None if it is not installed."""
    return next(((str(found),) for found in _programs("ipset", path)), None)


def _programs(name: str, path: str) -> Iterator[Path]:
    places = (Path(directory) / name for directory in path.split(":"))
    return (place for place in places if place.is_absolute() and place.is_file() and os.access(place, os.X_OK))


def _version(program: Path) -> str:
    """What a tool says of itself; nothing if it does not say."""
    try:
        done = subprocess.run(  # noqa: S603 (no shell, absolute path, clean environment)
            [str(program), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            env={"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")
