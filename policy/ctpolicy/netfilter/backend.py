"""What a backend is: how a policy becomes rules of one kind, and what such rules mean. Plans know it by this alone.

`Own` is a backend's own type for all that ctpolicy has, or is to have, on a host; None stands for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol, TypeVar

from ctpolicy.language.policy import Policy
from ctpolicy.netfilter.drift import Drift
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.packetspace.packet import Packet

ROLES: Final = ("bypass", "track")

EntryKey = tuple[str, str]
"""An entry's role and name."""

Names = Callable[[Packet], tuple[str, ...]]
"""What leaves a packet untracked, by name."""

Json = dict[str, Any]

Own = TypeVar("Own")


class Turn(Enum):
    """What becomes of something; the value is the sign that reports show."""

    ADDED = "+"
    CHANGED = "~"
    REMOVED = "-"
    REBUILT = "~!"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What becomes of one object of a ruleset.

    Args:
        kind: table, chain, set, map, or another of the backend's.
        name: the object's.
        turn: what becomes of it.
        size: how many elements a set or map has or gains or loses; 0 for what has none.
        added: lines that come, as the backend's tool writes them. They are made as they are asked for, once.
        removed: lines that go.
    """

    kind: str
    name: str
    turn: Turn
    size: int = 0
    added: Iterable[str] = ()
    removed: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that sent a packet on its way: it decided, jumped, or made it untracked.

    Args:
        chain: the rule's.
        number: the rule's in its chain, from 1.
        rule: its text.
        verdict: what came of it, if the text does not end with it; None if the packet went on to the next rule.
    """

    chain: str
    number: int
    rule: str
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Way:
    """What our rules do with one packet.

    Args:
        untracked: whether they leave it untracked; None if a rule asks what ctpolicy does not model.
        steps: the rules on its way.
        entry: the entry that decided it; None if none did.
    """

    untracked: bool | None
    steps: tuple[Step, ...]
    entry: EntryKey | None


@dataclass(frozen=True, slots=True)
class Counted:
    """One live entry and what its rules have counted."""

    name: str
    role: str
    packets: int
    bytes: int


class Backend(Protocol[Own]):
    """How policies become rules of one kind, and what such rules mean. All of it is pure."""

    @property
    def name(self) -> str:
        """As `--backend` takes it."""

    @property
    def by_hand(self) -> str:
        """What people run to look at what is ours and to start again, in a sentence or two."""

    def compile(self, policy: Policy) -> Own | None:
        """What leaves untracked exactly what the policy means; None if that takes nothing. Equal policies give equal
        results."""

    def refuse_foreign(self, live: Own | None) -> None:
        """Raise HostError if what has our names is not ours."""

    def treatment(self, own: Own | None) -> Treatment:
        """What it does to packets."""

    def differing(self, live: Own, desired: Own) -> tuple[Treatment, Treatment]:
        """What each does to packets, but where both provably do the same neither need do anything."""

    def deciding(self, own: Own | None) -> Names:
        """The entries that leave packets untracked."""

    def marks(self, own: Own | None) -> Mapping[EntryKey, int]:
        """For each entry something that is equal if its rules do the same; comparable in this process only."""

    def objects(self, live: Own | None, desired: Own | None) -> Iterator[ObjectChange]:
        """What has to change."""

    def document(self, live: Own | None, desired: Own | None) -> Json:
        """The transactions that change it, for programs."""

    def first_load(self, document: Json) -> Own | None:
        """What a host has that had nothing of ours, once such a document was carried out there: the inverse of
        `document(None, own)`.

        Raises:
            InputError: it is none for there.
        """

    def counted(self, own: Own | None) -> Iterable[Counted]:
        """Entries and their counters, by role and name."""

    def faults(self, own: Own | None) -> Iterable[str]:
        """Why it is not, or not wholly, in force; empty if it is."""

    def drifts(self, live: Own | None, desired: Own | None) -> Iterable[Drift]:
        """What was done to what is live, object by object; nothing if and only if the two are equal."""

    def way(self, own: Own | None, packet: Packet) -> Way:
        """One packet's way through it."""

    def written(self, own: Own) -> str:
        """It as text, with counters, for snapshots and saved plans: equal things give texts that read_written takes
        back to equal things. Bytes of others' comments that are not UTF-8 are surrogates in it (`surrogateescape`)."""

    def read_written(self, text: str) -> Own:
        """The inverse of written.

        Raises:
            InputError: it is no such text.
        """

    def lost(self, own: Own) -> Iterable[str]:
        """What of it could not be put back once it is gone, in words; nothing of what was compiled is. Others may have
        put things among ours whose listing does not tell all, or that ctpolicy does not keep."""

    def restorable(self, own: Own) -> Own:
        """It without what `lost` names."""

    def sample(self, own: Own, most: int) -> Own:
        """The same structure with at most so many elements, 1 or more, in each set or map."""


class Host(Protocol[Own]):
    """A running host, for one backend. A fake stands in for it in tests."""

    def read(self) -> Own | None:
        """What is ours as it is now; None if there is nothing.

        Raises:
            HostError: it cannot be read.
            DeadlineError: no answer in time.
        """

    def change(self, live: Own | None, desired: Own | None) -> None:
        """Make what was read into what is desired.

        Raises:
            RefusedError: it was not done, or not all of it.
            KernelCrashError: it may have been done.
            DeadlineError: likewise.
        """
