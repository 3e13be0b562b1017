"""Of a notrack and a conntrack template the first that a packet meets counts, however the rules are put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from ctpolicy.netfilter import outcomes
from ctpolicy.netfilter.treatment import Treatment
from ctpolicy.packetspace.diagram import Node
from ctpolicy.packetspace.space import PacketSpace

NOTRACK = outcomes.marked(outcomes.NEXT)
TEMPLATE = outcomes.settled(outcomes.NEXT)
RULES = {"notrack": NOTRACK, "template": TEMPLATE, "nothing": outcomes.NEXT, "return": outcomes.RETURN}


def hook(rules: Sequence[Node], through: bool) -> Treatment:
    """These rules in a base chain, or in a chain that its only rule jumps to."""
    chain = outcomes.sequence(rules)
    return Treatment(outcomes.entered(outcomes.sequence([outcomes.jumped(chain)]) if through else chain, drops=False))


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("words", list(product(RULES, repeat=3)), ids="-".join)
def test_the_first_of_notrack_and_template_counts(words: Sequence[str], through: bool) -> None:
    met = words[: words.index("return")] if "return" in words else words
    first = next((word for word in met if word in {"notrack", "template"}), "nothing")
    untracked = hook([RULES[word] for word in words], through).untracked
    assert untracked.certainly == untracked.possibly
    assert untracked.certainly == (PacketSpace.all() if first == "notrack" else PacketSpace.none())


def test_which_of_two_tools_comes_first_is_not_known() -> None:
    one, other = hook([NOTRACK], False), hook([TEMPLATE], False)
    for both in (one & other, other & one):
        assert not both.untracked.certainly
        assert both.untracked.possibly == PacketSpace.all()


def test_the_order_of_other_treatments_does_not_matter() -> None:
    dropped = Treatment(outcomes.entered(outcomes.DROP, drops=False))
    assert (hook([NOTRACK], False) & dropped) == (dropped & hook([NOTRACK], False)) == dropped
