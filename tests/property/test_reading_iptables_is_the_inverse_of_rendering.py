"""Law: what is rendered for iptables-restore or ipset restore is read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctpolicy.iptables.read import read_raw_table
from ctpolicy.iptables.read_sets import read_sets
from ctpolicy.iptables.render import restore_text, rule_text, save_lines
from ctpolicy.iptables.render_sets import ipset_lines
from ctpolicy.iptables.ruleset import RawTable
from ctpolicy.iptables.words import Quoted, text_of, words_of
from ctpolicy.packetspace.fields import Family
from raw_rules import CHAINS, ipsets, raw_tables

families = pytest.mark.parametrize("family", Family)


@families
@given(data=st.data())
def test_a_table_is_read_back_as_it_was(family: Family, data: st.DataObject) -> None:
    table = data.draw(raw_tables(family))
    assert read_raw_table("\n".join(save_lines(table, family)), family) == table


@families
@given(data=st.data())
def test_our_chains_are_read_back_as_they_were(family: Family, data: st.DataObject) -> None:
    table = data.draw(raw_tables(family))
    read = read_raw_table(restore_text(table, CHAINS, family), family)
    assert read == RawTable(tuple(chain for chain in table.chains if chain.name in CHAINS))


@families
@given(data=st.data())
def test_the_spelling_of_a_rule_that_was_read_is_what_was_written(family: Family, data: st.DataObject) -> None:
    table = data.draw(raw_tables(family))
    read = read_raw_table("\n".join(save_lines(table, family)), family)
    assert read is not None
    for chain in read.chains:
        assert [rule.spelling for rule in chain.rules] == [rule_text(rule, family) for rule in chain.rules]


@families
@given(data=st.data())
def test_sets_are_read_back_as_they_were(family: Family, data: st.DataObject) -> None:
    sets = data.draw(ipsets(family))
    read = read_sets("".join(f"{line}\n" for one in sets for line in ipset_lines(one)))
    assert read == sets
    assert [one.most for one in read] == [one.most for one in sets]


@given(st.lists(st.from_regex(r"[!-~]+", fullmatch=True).filter(lambda word: '"' not in word) | st.text().map(Quoted)))
def test_words_are_the_words_of_their_line(words: list[str]) -> None:
    read = words_of(text_of(words))
    assert read == words
