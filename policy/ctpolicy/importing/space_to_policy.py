"""What a ruleset leaves untracked, as a policy that is proved to mean it.

    Untracked ──solve──▶ entries ──text──▶ YAML ──load──▶ Policy ──meaning──▶ the same packets

An import never bypasses more than was read. What the language cannot say is missing, and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from ctpolicy.importing.naming import named
from ctpolicy.importing.solving import solve
from ctpolicy.importing.text import policy_text
from ctpolicy.language.load import load_text
from ctpolicy.language.policy import Entry, Policy
from ctpolicy.language.protection import DEFAULT, uncovered
from ctpolicy.meaning_space import bypass_space
from ctpolicy.netfilter.treatment import Untracked
from ctpolicy.packetspace.space import PacketSpace

ACKNOWLEDGED: Final = "was bypassed on the host when it was imported"

MOST_TOLD: Final = 8
"""Boxes of what could not be expressed."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A policy for what was read.

    Args:
        text: the policy as YAML, with remarks about what is not in it.
        policy: what that text is, loaded.
        missing: packets that are certainly untracked, and that no entry could be found for.
        unsure: packets that may be untracked; rules ask something about them that ctpolicy does not model.
    """

    text: str
    policy: Policy
    missing: PacketSpace
    unsure: PacketSpace

    @property
    def is_complete(self) -> bool:
        """Whether the policy leaves exactly those packets untracked that the ruleset does."""
        return not self.missing and not self.unsure

    def remarks(self) -> list[str]:
        """What is not in the policy, as lines of text."""
        return [
            *_told("Not in this policy: untracked, but ctpolicy has no entry for it", self.missing),
            *_told("Not in this policy: untracked or not by what ctpolicy does not model (marks, rates)", self.unsure),
        ]


def import_untracked(untracked: Untracked, name: str) -> Imported:
    """The policy that means what a ruleset leaves certainly untracked, or as much of it as the language can say."""
    space, unsure = untracked.certainly, untracked.possibly - untracked.certainly
    bypass, track = _entries(space)
    text = policy_text(name, bypass, track, [])
    policy = load_text(text, f"{name}.yaml")
    meant = bypass_space(policy)
    assert meant <= space, "an import never bypasses more than was read"
    imported = Imported(text, policy, space - meant, unsure)
    head = ["Imported from a ruleset. What it leaves untracked was untracked there.", *imported.remarks()]
    return replace(imported, text=policy_text(name, bypass, track, head))


def _told(heading: str, space: PacketSpace) -> Iterator[str]:
    if space:
        yield f"{heading}:"
        yield from (f"  {line}" for line in str(space.describe(MOST_TOLD)).splitlines())


def _entries(space: PacketSpace) -> tuple[list[Entry], list[Entry]]:
    found = solve(space)
    taken: set[str] = set()
    return _acknowledged(named(found.bypass, "", taken)), named(found.track, "tracked-", taken)


def _acknowledged(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, those with a reason that bypass what is protected."""
    return [replace(entry, acknowledge=ACKNOWLEDGED) if uncovered(entry, DEFAULT) else entry for entry in entries]
