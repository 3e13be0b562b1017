"""The entries of a policy as reports show them: what each catches on each path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ctpolicy.language.diagnostics import Place
from ctpolicy.language.policy import (
    Entry,
    Forward,
    HostClient,
    HostService,
    Match,
    Overlay,
    Policy,
    Ports,
)
from ctpolicy.meaning import Leg, legs
from ctpolicy.meaning_space import leg_box
from ctpolicy.packetspace.box_text import box_text
from ctpolicy.packetspace.fields import Family, Path
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import FOREST, Box, Field
from ctpolicy.review.review import Covered, EntrySummary

_KINDS: Final = {
    Overlay: "overlay",
    HostService: "host-service",
    HostClient: "host-client",
    Forward: "forward",
    Ports: "ports",
    Match: "match",
}


def summaries(policy: Policy, places: Mapping[str, Place]) -> tuple[EntrySummary, ...]:
    """Every entry of a policy, bypass first, each by name."""
    return tuple(
        EntrySummary(
            role=role,
            name=entry.name,
            kind=_KINDS[type(entry)],
            description=entry.description,
            acknowledge=entry.acknowledge,
            place=places.get(entry.name),
            covers=tuple(_covered(entry)),
        )
        for role, entries in (("bypass", policy.bypass), ("track", policy.track))
        for entry in entries
    )


def _covered(entry: Entry) -> Iterator[Covered]:
    by_path: dict[Path, list[Leg]] = {}
    for leg in legs(entry):
        by_path.setdefault(leg.path, []).append(leg)
    for path in Path:
        if path in by_path:
            yield Covered(path.value, tuple(dict.fromkeys(_texts(by_path[path]))))


def _texts(several: list[Leg]) -> Iterator[str]:
    """Legs in words; those of both families in one where they say the same."""
    boxes = [_said(leg) for leg in several]
    texts = [
        box_text({field: values for field, values in box.items() if field is not Field.FAMILY})
        if Field.SOURCE not in box and Field.DESTINATION not in box
        else box_text(box)
        for box in boxes
    ]
    families: dict[str, set[Family]] = {}
    for leg, text in zip(several, texts, strict=True):
        families.setdefault(text, set()).add(leg.family)
    for leg, box, text in zip(several, boxes, texts, strict=True):
        said = text if len(families[text]) == len(Family) else box_text(box)
        yield said.removeprefix(f"{leg.path.value} ")


_FULL: Final = {
    family: {field: IntervalSet.full(FOREST.largest[field].bit_length()) for field in Field}
    | {field: IntervalSet.full(family.bits) for field in (Field.SOURCE, Field.DESTINATION)}
    for family in Family
}


def _said(leg: Leg) -> Box:
    """The fields of a leg that may not be anything."""
    full = _FULL[leg.family]
    return {field: values for field, values in leg_box(leg).items() if values != full[field]}
