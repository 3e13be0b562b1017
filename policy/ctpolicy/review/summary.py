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
    families: dict[str, set[Family]] = {}
    for leg in several:
        families.setdefault(_text(leg, with_family=False), set()).add(leg.family)
    for leg in several:
        of_both = _text(leg, with_family=False)
        yield of_both if len(families[of_both]) == len(Family) else _text(leg, with_family=True)


def _text(leg: Leg, with_family: bool) -> str:
    box = _said(leg)
    if not with_family and Field.SOURCE not in box and Field.DESTINATION not in box:
        box = {field: values for field, values in box.items() if field is not Field.FAMILY}
    return box_text(box).removeprefix(f"{leg.path.value} ")


def _said(leg: Leg) -> Box:
    """The fields of a leg that may not be anything."""
    anyone = leg.family.bits
    full = {field: IntervalSet.full(FOREST.largest[field].bit_length()) for field in Field}
    full |= {Field.SOURCE: IntervalSet.full(anyone), Field.DESTINATION: IntervalSet.full(anyone)}
    return {field: values for field, values in leg_box(leg).items() if values != full[field]}
