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

    def merge(self, other: Frequent) -> None:
        """Add what was counted elsewhere."""
        self.counts.update(other.counts)
        self.error += other.error
        self.most_seen = max(self.most_seen, other.most_seen)

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
    return Top(tuple(_ranked(parts, number, name)), _different(parts), sum(part.error for part in parts))


def _different(parts: Sequence[Frequent]) -> int:
    """How many different things there are in all parts; at least so many where some were forgotten."""
    found = 0
    for at, part in enumerate(parts):
        again = set[bytes]().union(*(part.counts.keys() & other.counts.keys() for other in parts[:at]))
        found += len(part.counts) - len(again)
    return max(found, *(part.most_seen for part in parts))


def _ranked(parts: Sequence[Frequent], number: int, name: Callable[[bytes], str]) -> Sequence[Ranked]:
    """The most frequent. Only those that may be among them are added up, and given a name."""
    least = max(_least_of_most(part, number) for part in parts)
    most = nlargest(number, (count for _, count in _together(parts, least)))
    if not most:
        return []
    candidates = (Ranked(name(thing), count) for thing, count in _together(parts, max(least, most[-1])))
    return nlargest(number, candidates, key=lambda one: (one.entries, one.name))


def _least_of_most(part: Frequent, number: int) -> int:
    """How often the last of so many most frequent ones was counted; in all parts together, that one is no rarer."""
    most = nlargest(number, part.counts.values())
    return most[-1] if len(most) == number else 1


def _together(parts: Sequence[Frequent], least: int) -> Iterator[tuple[bytes, int]]:
    """Each thing once with its count in all parts, of those that were counted so often.

    To add them up in one more dictionary could double the memory. What was counted so often in all parts was counted
    no less than its share of that in one of them.
    """
    share = -(-least // len(parts))
    for at, part in enumerate(parts):
        before = [other.counts for other in parts[:at]]
        after = [other.counts for other in parts[at + 1 :]]
        for thing, count in part.counts.items():
            if count < share:
                continue
            if any(other.get(thing, 0) >= share for other in before):
                continue
            total = count + sum(other.get(thing, 0) for other in (*before, *after))
            if total >= least:
                yield thing, total
