"""Interfaces in words: names and patterns, and never the integers between them where that can be said."""

from __future__ import annotations

import pytest

from ctpolicy.packetspace.box_text import values_text
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, pattern_interval
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import Field

UNNAMED = IntervalSet.single(0)


def named(*patterns: str) -> IntervalSet:
    return IntervalSet.of(map(pattern_interval, patterns))


def but(values: IntervalSet) -> IntervalSet:
    return values.complement(INTERFACE_BITS)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (named("eth0", "bond*"), "bond*,eth0"),
        (but(named("lo")), "not lo"),
        (but(named("lo") | UNNAMED), "not unnamed,lo"),
        (named("eth1*") & but(named("eth1")), "eth1* but eth1"),
        (but(named("cali*", "lo")) | named("cali1234"), "cali1234, not cali*,lo"),
    ],
)
def test_interfaces_are_said_as_people_write_them(values: IntervalSet, words: str) -> None:
    assert values_text(Field.INTERFACE, values, Family.IPV4) == words
