"""Metrics as data. Names follow the conventions of Prometheus: the unit at the end, `_total` for what is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

PREFIX: Final = "ctpolicy_"


class Kind(Enum):
    """What may become of a value; Prometheus' own words."""

    COUNTER = "counter"
    """It only grows, until it begins again at 0."""
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value.

    Args:
        labels: the values of the metric's labels, in their order.
        value: in the unit that the metric's name ends with.
    """

    labels: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its values.

    Args:
        name: whole, with the prefix and what says its unit.
        help: what it is, in a sentence.
        kind: what may become of it.
        labels: their names.
        samples: its values.
    """

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]


def counter(name: str, help_: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    """Something counted; the name ends in `_total`."""
    return Metric(PREFIX + name, help_, Kind.COUNTER, labels, tuple(samples))


def gauge(name: str, help_: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> Metric:
    """Something that goes up and down."""
    return Metric(PREFIX + name, help_, Kind.GAUGE, labels, tuple(samples))


def one(value: float) -> tuple[Sample, ...]:
    """The only value of a metric without labels."""
    return (Sample((), value),)
