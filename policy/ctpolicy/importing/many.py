"""Services by the hundred, each with a port and peers of its own, read off as they stand.

To weigh every candidate against every other (choosing.py) is quadratic. Where there are this many boxes, one candidate
is made of each, and they are held against what is allowed all at once: mostly all of them are, or all but a few, which
halving finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ctpolicy.importing.candidates import kinds
from ctpolicy.language.policy import Entry, Forward, HostClient, HostService
from ctpolicy.meaning_space import entries_space
from ctpolicy.packetspace.fields import LOOPBACK, Path
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.space import PacketSpace
from ctpolicy.packetspace.universe import Box, Field, path_set

MANY: Final = 100
"""Candidates of one kind. Fewer are weighed one against the other, which finds what people would write."""

MOST_BOXES: Final = 100_000
"""Boxes that candidates are made of. Where entries of several kinds cross, there may be millions."""

MOST_HALVES: Final = 100
"""Batches of candidates that are tried; each costs a walk over all of what is allowed."""

_LOOPBACK: Final = IntervalSet.single(interface_value(LOOPBACK))
_KINDS: Final[tuple[tuple[Path, type[Entry]], ...]] = (
    (Path.IN, HostService),
    (Path.IN, HostClient),
    (Path.FORWARD, Forward),
)


def many_services(target: PacketSpace, allowed: PacketSpace) -> tuple[list[Entry], PacketSpace]:
    """Services, where there are many, that hold a part of a set and nothing that is not allowed; and what is left."""
    chosen: list[Entry] = []
    left = target
    for path, kind in _KINDS:
        boxes = (left & PacketSpace.of_boxes([{Field.PATH: path_set(path)}])).branches(MOST_BOXES) or []
        candidates = list(dict.fromkeys(_candidates(boxes, kind))) if len(boxes) >= MANY else []
        if len(candidates) < MANY:
            continue
        found = list(_allowed(candidates, allowed))
        chosen += found
        left -= entries_space(found)
    return chosen, left


def _candidates(boxes: Iterable[Box], kind: type[Entry]) -> Iterator[Entry]:
    for box in boxes:
        entry = next((entry for entry in kinds(_on_any_interface(box)) if isinstance(entry, kind)), None)
        if entry is not None:
            yield entry


def _on_any_interface(box: Box) -> Box:
    """The box without its interfaces, if they are all but `lo`, by which nothing comes in."""
    values = box.get(Field.INTERFACE)
    if values is None or values.complement(INTERFACE_BITS) != _LOOPBACK:
        return box
    return {field: values for field, values in box.items() if field is not Field.INTERFACE}


def _allowed(entries: Sequence[Entry], allowed: PacketSpace) -> Iterator[Entry]:
    """The entries that hold nothing else, in their order, as far as so many tries find them."""
    waiting = [entries]
    for _ in range(MOST_HALVES):
        if not waiting:
            return
        batch = waiting.pop()
        if entries_space(batch) <= allowed:
            yield from batch
        elif len(batch) > 1:
            half = len(batch) // 2
            waiting += [batch[half:], batch[:half]]
