"""The conntrack table at work: what two readings, some seconds apart, say of the time between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Final

from ctpolicy.conntrack.entry import address
from ctpolicy.conntrack.facts import STATISTICS, TableFacts
from ctpolicy.conntrack.sample import Sample
from ctpolicy.netfilter.backend import ROLES, Counted
from ctpolicy.packetspace.packet import Address

MOST_TALKERS: Final = 10
MOST_ENTRIES: Final = 20
"""Policy entries that are shown: those that count most."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at one time.

    Args:
        at: seconds, by a clock that only ever goes on.
        facts: of the table.
        sample: of its entries; None if they could not be read.
        counted: what each entry of the live policy has counted; None if that could not be read.
        failures: what could not be read, in sentences.
    """

    at: float
    facts: TableFacts
    sample: Sample | None = None
    counted: tuple[Counted, ...] | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Talker:
    """A source address, and about how many entries of the table it has begun.

    Args:
        source: in the original direction.
        entries: about how many.
        share: of the table; 1 is all.
    """

    source: Address
    entries: int
    share: float


@dataclass(frozen=True, slots=True)
class EntryRate:
    """What the rules of one policy entry count in a second; None if that is not known yet."""

    name: str
    role: str
    packets: float | None
    bytes: float | None


@dataclass(frozen=True, slots=True)
class View:
    """What is shown. Rates are for a second, and None if they are not known: of the first reading there are none.

    Args:
        facts: of the table, now.
        new: entries that are made.
        counted: what conntrack counts, by the names of Statistics.
        talkers: who has most entries, the first most of all.
        sampled: how many entries `talkers` and `new` are estimated from; None if from all.
        entries: what is bypassed and what is kept tracked, by policy entry, first what is most.
        more_entries: how many others there are.
        failures: what could not be read, in sentences.
    """

    facts: TableFacts
    new: float | None
    counted: Mapping[str, float] | None
    talkers: tuple[Talker, ...]
    sampled: int | None
    entries: tuple[EntryRate, ...]
    more_entries: int
    failures: tuple[str, ...]


def view(before: Reading | None, now: Reading, most_talkers: int = MOST_TALKERS) -> View:
    """What is shown after a reading.

    Args:
        before: the reading before it; None if this is the first.
        now: the reading.
        most_talkers: that are told.
    """
    seconds = None if before is None else now.at - before.at
    earlier = before if before is not None and seconds else None
    entries = _entries(earlier, now)
    return View(
        now.facts,
        None if earlier is None else _new(earlier, now),
        None if earlier is None else _statistics(earlier, now),
        tuple(_talkers(now, most_talkers)),
        None if now.sample is None or now.sample.is_whole else len(now.sample.keys),
        tuple(entries[:MOST_ENTRIES]),
        len(entries[MOST_ENTRIES:]),
        now.failures,
    )


def _new(before: Reading, now: Reading) -> float | None:
    if before.sample is None or now.sample is None:
        return None
    share = now.sample.new_since(before.sample)
    return None if share is None else share * _size(now) / (now.at - before.at)


def _size(reading: Reading) -> int:
    """How many entries there are: those that were told, if these are all, because the kernel's count has dying ones."""
    sample = reading.sample
    if sample is not None and sample.is_whole:
        return len(sample.keys)
    return reading.facts.entries or 0


def _statistics(before: Reading, now: Reading) -> dict[str, float] | None:
    if before.facts.statistics is None or now.facts.statistics is None:
        return None
    counts = zip(STATISTICS, astuple(before.facts.statistics), astuple(now.facts.statistics), strict=True)
    return {name: _since(earlier, later) / (now.at - before.at) for name, earlier, later in counts}


def _talkers(now: Reading, most: int) -> Iterator[Talker]:
    if now.sample is None or not now.sample.keys:
        return
    sampled, size = len(now.sample.keys), _size(now)
    # By number, and by address where that is the same, so that lines do not change places for nothing.
    order = sorted(now.sample.sources.items(), key=lambda item: (-item[1], item[0][0].value, item[0][1]))
    for (family, source), number in order[:most]:
        yield Talker(address(family, source), round(number / sampled * size), number / sampled)


def _entries(before: Reading | None, now: Reading) -> list[EntryRate]:
    earlier = {(one.role, one.name): one for one in (before.counted if before is not None else None) or ()}
    rates = []
    for one in now.counted or ():
        was = earlier.get((one.role, one.name))
        if before is None or was is None:
            rates.append(EntryRate(one.name, one.role, None, None))
            continue
        seconds = now.at - before.at
        packets, octets = _since(was.packets, one.packets), _since(was.bytes, one.bytes)
        rates.append(EntryRate(one.name, one.role, packets / seconds, octets / seconds))
    return sorted(rates, key=lambda rate: (ROLES.index(rate.role), -(rate.packets or 0), rate.name))


def _since(earlier: int, later: int) -> int:
    """What was counted in between. A counter that is less than it was has begun again at 0: a rule was made anew."""
    return later - earlier if later >= earlier else later
