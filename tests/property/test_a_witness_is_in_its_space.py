"""Law: a witness is a packet of its space that prints and parses, and there is one for every difference of policies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.language.policy import Policy
from ctpolicy.meaning import decide
from ctpolicy.meaning_space import bypass_space
from ctpolicy.packetspace.interface_values import (
    INTERFACE_BITS,
    interface_name,
    interface_value,
    interval_pattern,
    next_name,
    pattern_interval,
)
from ctpolicy.packetspace.interfaces import is_interface_name
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.testing.strategies import policies

NAMES = st.text(alphabet="-.09=AZ_az", min_size=1, max_size=15).filter(is_interface_name)


@given(policies(), policies())
def test_a_difference_of_policies_has_a_witness(one: Policy, other: Policy) -> None:
    difference = bypass_space(one) - bypass_space(other)
    witness = difference.witness()
    assert (witness is None) == (not difference)
    if witness is not None:
        assert witness in difference
        assert parse_packet(str(witness)) == witness
        assert decide(one, witness).untracked
        assert not decide(other, witness).untracked


@given(NAMES, st.integers(0, 2**INTERFACE_BITS - 1))
def test_the_next_name_is_the_least_that_is_no_less(name: str, value: int) -> None:
    assert next_name(interface_value(name)) == interface_value(name)
    found = next_name(value)
    if found is None:
        assert interface_value(name) < value
    else:
        assert found >= value
        assert is_interface_name(interface_name(found))
        assert not value <= interface_value(name) < found


@given(NAMES, st.integers(1, 14))
def test_a_pattern_is_an_interval_and_back(name: str, length: int) -> None:
    for pattern in (name, f"{name[:length]}*"[:15]):
        assert interval_pattern(pattern_interval(pattern)) == pattern
