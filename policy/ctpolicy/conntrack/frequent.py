"""What is most frequent among any number of things, in bounded memory.

Up to a bound on the number of different things, counts are exact. Beyond it the summary of Misra and Gries is kept, in
the form that can be cut and merged (Agarwal, Cormode, Huang, Phillips, Wei, Yi: Mergeable Summaries, PODS 2012): to
keep k of them, the count of the next one is taken off all, and what falls to nothing goes. What is left of a count is
then at most the true one, and too small by at most what was taken off, which is never more than all that was counted
divided by k; so whatever is more frequent than that is never lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import NamedTuple


class Ranked(NamedTuple):
    """One of the most frequent.

    Args:
        name: of it.
        entries: how often it was counted; at most too few by Top.error.
    """

    name: str
    entries: int


@dataclass(frozen=True, slots=True)
class Top:
    """The most frequent, and what is known of the rest.

    Args:
        ranked: them, most frequent first; among equals, the last by name first, as `sort -nr` has it.
        different: how many different there are; if there is an error, how many there are at least.
        error: how many each count may be too small by; 0 if they are exact.
    """

    ranked: tuple[Ranked, ...] = ()
    different: int = 0
    error: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether nothing had to be forgotten."""
        return not self.error


@dataclass(slots=True)
class Frequent:
    """Counts of things that are bytes.

    Args:
        counts: by thing.
        error: what was taken off each of them, in all.
        most_seen: the largest number of different ones that there were at one time.
    """

    counts: Counter[bytes] = field(default_factory=Counter)
    error: int = 0
    most_seen: int = 0

    def shrink(self, most: int) -> None:
        """Keep at most so many."""
        self.most_seen = max(self.most_seen, len(self.counts))
        if len(self.counts) > most:
            taken = nlargest(most + 1, self.counts.values())[-1]
            self.counts = Counter({thing: number - taken for thing, number in self.counts.items() if number > taken})
            self.error += taken


def top(parts: Sequence[Frequent], number: int, name: Callable[[bytes], str]) -> Top:
    """The most frequent of several that count the same kind of thing.

    Args:
        parts: the counts.
        number: how many are wanted.
        name: a thing's name.
    """
    different = max(sum(1 for _ in _together(parts)), *(part.most_seen for part in parts))
    return Top(tuple(_ranked(parts, number, name)), different, sum(part.error for part in parts))


def _together(parts: Sequence[Frequent]) -> Iterator[tuple[bytes, int]]:
    """Each thing once with its count in all parts. To add them up in one more dictionary could double the memory."""
    for at, part in enumerate(parts):
        before, after = parts[:at], parts[at + 1 :]
        for thing, count in part.counts.items():
            if not any(thing in other.counts for other in before):
                yield thing, count + sum(other.counts[thing] for other in after if thing in other.counts)


def _ranked(parts: Sequence[Frequent], number: int, name: Callable[[bytes], str]) -> Sequence[Ranked]:
    """The most frequent. Only those that may be among them are given a name."""
    most = nlargest(number, (count for _, count in _together(parts)))
    if not most:
        return []
    candidates = (Ranked(name(thing), count) for thing, count in _together(parts) if count >= most[-1])
    return nlargest(number, candidates, key=lambda one: (one.entries, one.name))
