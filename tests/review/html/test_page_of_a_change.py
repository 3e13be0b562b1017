"""From two policies to the page: what changed is drawn within what the entry covers now, or covered before."""

from __future__ import annotations

from ctpolicy.language.load import load_text
from ctpolicy.packetspace.box_text import values_text
from ctpolicy.packetspace.fields import Family
from ctpolicy.packetspace.universe import Field
from ctpolicy.review.change import change_between
from ctpolicy.review.reports.html import html_report
from ctpolicy.review.review import Change, Direction, Review
from ctpolicy.review.summary import summaries

BASE = """
apiVersion: ctpolicy/v1
name: worker
bypass:
  - {name: metrics, host-service: tcp/9100-9104, peers: 192.168.7.0/24}
"""
HEAD = BASE.replace("9104", "9105")


def change(base: str, head: str) -> Change:
    return change_between(load_text(base), load_text(head), sensitive=None, places={}, base_name="the base")


def test_one_more_port_is_shown_in_the_range_that_it_makes() -> None:
    found = change(BASE, HEAD)
    entering = [move for move in found.moves if "in tcp" in move.packets]
    assert [move.direction for move in entering] == [Direction.UNTRACKED]
    around = entering[0].around
    assert around is not None
    assert values_text(Field.DESTINATION_PORT, around[Field.DESTINATION_PORT], Family.IPV4) == "9100-9105"
    page = html_report(Review(("worker.yaml",), "worker", summaries(load_text(HEAD), {}), (), found))
    assert '<code>9105</code><span class="part-of"> of <code>9100-9105</code></span>' in page


def test_one_port_less_is_shown_in_the_range_that_it_was_in() -> None:
    found = change(HEAD, BASE)
    assert {move.direction for move in found.moves} == {Direction.TRACKED}
    page = html_report(Review(("worker.yaml",), "worker", (), (), found))
    assert '<code>9105</code><span class="part-of"> of <code>9100-9105</code></span>' in page
