"""What a box covers of each field, in the numbers and words that the page has of it."""

from __future__ import annotations

import pytest

from ctpolicy.packetspace.box_text import values_text
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.interface_values import INTERFACE_BITS, interface_value
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.universe import Field
from ctpolicy.review.reports.page.extent import Extent, extents, shares
from ctpolicy.review.reports.page.words import counted, number_text, share_of_doublings
from review.html.sizes import ALL_OF_TCP, OFF_BY_ONE, SCATTERED, SIX, TWO_PORTS, WIDENED_PORTS, WIDENED_PREFIX, network


def of(box: object, field: Field) -> Extent:
    return next(extent for extent in extents(box) if extent.field is field)  # type: ignore[arg-type]


def test_widened_prefix_is_the_new_one_but_the_old() -> None:
    extent = of(WIDENED_PREFIX, Field.SOURCE)
    assert extent.words == "10.1.0.0/16 but 10.1.7.0/24"
    assert extent.count == 65536 - 256
    assert extent.is_worth_a_closer_look


def test_widened_port_range_is_the_new_one_but_the_old() -> None:
    extent = of(WIDENED_PORTS, Field.DESTINATION_PORT)
    assert (extent.words, extent.count, extent.frame) == ("4780-4800 but 4789", 20, (4780, 4800))


def test_one_value_needs_no_closer_look() -> None:
    extent = of(OFF_BY_ONE, Field.DESTINATION_PORT)
    assert (extent.words, extent.count, extent.is_worth_a_closer_look) == ("4790", 1, False)


def test_one_more_port_is_seen_beside_the_one_that_was_there() -> None:
    extent = next(one for one in extents(OFF_BY_ONE, TWO_PORTS) if one.field is Field.DESTINATION_PORT)
    assert (extent.words, extent.words_around, extent.frame) == ("4790", "4789-4790", (4789, 4790))
    assert extent.is_worth_a_closer_look
    assert not any(one.words_around for one in extents(OFF_BY_ONE, TWO_PORTS) if one is not extent and one != extent)


def test_interfaces_are_told_by_those_that_are_not_there_if_that_is_shorter() -> None:
    lo = IntervalSet.single(interface_value("lo"))
    assert values_text(Field.INTERFACE, lo.complement(INTERFACE_BITS), Family.IPV4) == "not lo"
    assert values_text(Field.INTERFACE, lo, Family.IPV4) == "lo"


def test_part_of_anything_is_not_told_as_such() -> None:
    source = next(one for one in extents(TWO_PORTS, {}) if one.field is Field.SOURCE)
    assert source.beside
    assert source.words_around == ""


def test_what_the_words_have_already_is_not_told_again() -> None:
    wider = {**WIDENED_PREFIX, Field.SOURCE: network("10.1.0.0/16")}
    source = next(one for one in extents(WIDENED_PREFIX, wider) if one.field is Field.SOURCE)
    assert (source.words, source.words_around) == ("10.1.0.0/16 but 10.1.7.0/24", "")
    assert source.beside == network("10.1.7.0/24")


def test_what_is_not_around_the_values_is_not_told() -> None:
    assert not any(one.around for one in extents(TWO_PORTS, OFF_BY_ONE) if one.field is Field.DESTINATION_PORT)


def test_what_is_mostly_not_there_is_told_by_what_is() -> None:
    assert of(SCATTERED, Field.DESTINATION_PORT).words == "53,123,20000-20999,33434-33534"


def test_any_is_any_in_each_family() -> None:
    assert all(extent.is_any and extent.words == "any" for extent in extents(ALL_OF_TCP))
    assert of(WIDENED_PORTS, Field.DESTINATION).is_any
    assert of(WIDENED_PORTS, Field.DESTINATION).bits == 32


def test_protocols_without_ports_have_none_to_be_drawn() -> None:
    assert [extent.name for extent in extents(SIX)] == ["source", "destination"]


def test_all_but_one_address_is_told_as_any_but_it() -> None:
    holes = network("10.0.0.1/32").complement(32)
    assert of({**WIDENED_PORTS, Field.SOURCE: holes}, Field.SOURCE).words == "any but 10.0.0.1"


def test_frame_of_addresses_is_the_smallest_prefix_around_them() -> None:
    values = network("10.0.8.0/30") | network("10.0.9.128/25")
    first, last = of({**WIDENED_PORTS, Field.SOURCE: values}, Field.SOURCE).frame
    assert IntervalSet(((first, last),)) == network("10.0.8.0/23")


def test_shares_are_how_much_of_each_step_is_there() -> None:
    assert shares(IntervalSet(((0, 24), (50, 99))), (0, 99), 4) == [1, 0, 1, 1]
    assert shares(IntervalSet(((0, 4), (30, 34))), (0, 39), 4) == pytest.approx([0.5, 0, 0, 0.5])
    whole = shares(IntervalSet.full(128), (0, (1 << 128) - 1), 10)
    assert whole == pytest.approx([1] * 10)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (65280, "65,280"),
        (2**32, "2\N{SUPERSCRIPT THREE}\N{SUPERSCRIPT TWO}"),
        (2**96 + 1, "about 2\N{SUPERSCRIPT NINE}\N{SUPERSCRIPT SIX}"),
    ],
)
def test_numbers_are_read(number: int, text: str) -> None:
    assert number_text(number) == text


def test_one_is_one() -> None:
    assert (counted(1, "entry", "entries"), counted(2, "entry", "entries")) == ("1 entry", "2 entries")


def test_each_doubling_is_as_far() -> None:
    assert [share_of_doublings(1 << free, 32) for free in (0, 8, 16, 32)] == [0, 0.25, 0.5, 1]
