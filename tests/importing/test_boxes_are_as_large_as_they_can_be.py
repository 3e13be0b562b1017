"""A bug that was found by importing: boxes were small, or held nothing, and covers of five boxes became hundreds."""

from ctpolicy.packetspace.description import _met
from ctpolicy.packetspace.intervals import IntervalSet
from ctpolicy.packetspace.sets import EVERYTHING, NOTHING
from ctpolicy.packetspace.universe import FOREST, Field


def test_two_intervals_of_values_in_one_interval_of_a_node_lead_to_one_child() -> None:
    node = FOREST.case(Field.PROTOCOL, [((0, 10), EVERYTHING)], NOTHING)
    assert list(_met(node, IntervalSet(((1, 1), (3, 3))))) == [EVERYTHING]
    assert list(_met(node, IntervalSet(((1, 1), (3, 11))))) == [EVERYTHING, NOTHING]
