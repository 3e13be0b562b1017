"""Names of policies, entries and groups: they become names of nftables objects, so their alphabet is small."""

from __future__ import annotations

import re
from typing import Final

from ctpolicy.language.mistakes import ValueMistake

LONGEST: Final = 40
EXPECTED: Final = "small letters, digits and `-`, beginning with a letter"

_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")


def is_name(text: str) -> bool:
    """Whether this can name a policy, an entry or a group."""
    return len(text) <= LONGEST and _NAME.fullmatch(text) is not None


def name_mistake(text: str) -> ValueMistake | None:
    """Why this is not a name; None if it is one."""
    if is_name(text):
        return None
    if _NAME.fullmatch(text):
        return ValueMistake(f"this name has {len(text)} characters", f"at most {LONGEST}")
    nearby = re.sub(r"[^a-z0-9]+", "-", text[:200].lower()).strip("-")
    return ValueMistake(f"`{text[:LONGEST]}` is not a name", EXPECTED, nearby if is_name(nearby) else "")
