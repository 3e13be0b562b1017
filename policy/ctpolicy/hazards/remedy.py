"""A remedy: what can be pasted against hazards, where it goes and how it is undone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ctpolicy.hazards.hazard import Hazard
from ctpolicy.language.policy import Entry


class Kind(Enum):
    """What a remedy is."""

    ACCEPT = "accept rule"
    """Rules of the firewall that drops, which accept what is untracked now."""
    TRACK = "track entry"
    """An entry of the policy that keeps packets tracked."""
    NARROWER = "narrower policy"
    """An entry of the policy in the place of one that bypasses too much."""
    ADVICE = "advice"
    """Nothing to paste: what ctpolicy cannot check, or cannot write, in words."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps against hazards.

    Args:
        kind: what it is.
        hazards: that are gone with it; of advice, those that it is about.
        commands: lines for a shell, that change the live host.
        undo: lines for a shell, that take them back.
        place: where the rules go, in words; empty for entries of the policy.
        lasting: what else is to be done, so that it is there after the firewall was loaded anew; for people.
        entries: of the policy, named.
        replaces: the name of the entry that they take the place of.
        text: the entries in YAML: a policy file of its own, to be given beside the others; of NARROWER the entry
            alone.
        notes: what else is to be said.
        is_complete: whether all packets of the hazards are helped.
    """

    kind: Kind
    hazards: tuple[Hazard, ...]
    commands: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    place: str = ""
    lasting: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    replaces: str = ""
    text: str = ""
    notes: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the hazards, each once."""
        return tuple(dict.fromkeys(sorted(hazard.code for hazard in self.hazards)))
