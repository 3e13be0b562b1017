"""Reading listings that are not ours, or not listings at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctpolicy.errors import InputError
from ctpolicy.nftables.read import find_table, read_document, read_text
from ctpolicy.nftables.ruleset import (
    ACCEPT,
    BaseHook,
    Chain,
    Counter,
    Match,
    Meta,
    Other,
    Payload,
    Rule,
    Set,
    Table,
    Unmodelled,
)

IN_T = {"family": "inet", "table": "t"}


def _table(*objects: dict[str, Any]) -> Table:
    found = find_table(read_document({"nftables": [{"metainfo": {"version": "1.0.6"}}, *objects]}), "inet", "t")
    assert found is not None
    return found


def _rule(*statements: dict[str, Any]) -> Rule:
    chain = {"chain": IN_T | {"name": "c"}}
    rule = {"rule": IN_T | {"chain": "c", "handle": 7, "expr": list(statements)}}
    return _table(chain, rule).chains[0].rules[0]


@pytest.mark.parametrize(
    "text",
    ["", "table inet t {\n}", "[]", "{}", '{"nftables": 3}', '{"nftables": [3]}', '{"nftables": [{"chain": {}}]}',
     '{"nftables": [{"rule": {"family": "inet", "table": "t", "chain": "c", "expr": 3}}]}', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_listing_is_told_and_is_no_empty_ruleset(text: str) -> None:
    with pytest.raises(InputError, match=r"nftables|nft -j list"):
        read_text(text)


def test_an_empty_table_is_a_table() -> None:
    assert _table({"table": {"family": "inet", "name": "t", "handle": 1}}) == Table("inet", "t")


def test_a_table_that_is_not_listed_is_none() -> None:
    assert find_table(read_text('{"nftables": []}'), "inet", "ctpolicy") is None


def test_handles_and_counters_are_read_but_do_not_count() -> None:
    rule = _rule({"counter": {"packets": 5, "bytes": 300}}, {"accept": None})
    assert rule == Rule((Counter(), ACCEPT))
    assert rule.handle == 7
    assert rule.counter is not None
    assert (rule.counter.packets, rule.counter.bytes) == (5, 300)


def test_a_statement_that_is_not_modelled_is_kept_as_it_is() -> None:
    limit = {"limit": {"rate": 10, "per": "second"}}
    assert _rule(limit).statements == (Unmodelled(json.dumps(limit, separators=(",", ":"), sort_keys=True)),)


def test_a_match_that_is_not_modelled_is_kept_as_it_is() -> None:
    match = {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}
    assert isinstance(_rule(match).statements[0], Unmodelled)


def test_a_set_of_another_kind_is_another_kind_of_object() -> None:
    marks = {"set": IN_T | {"name": "s", "type": ["ipv4_addr", "mark"], "handle": 2}}
    assert _table(marks).others == (Other("set", "s"),)


def test_a_set_with_an_attribute_of_its_own_differs_from_one_without() -> None:
    plain = {"set": IN_T | {"name": "s", "type": "ipv4_addr", "handle": 2, "elem": ["192.0.2.1"]}}
    timed = {"set": plain["set"] | {"timeout": 60}}
    assert _table(plain).sets != _table(timed).sets


def test_flags_are_read_as_word_or_list() -> None:
    # nft 1.1 prints one flag as a word, 1.0.6 as a list.
    for flags in ("interval", ["interval"]):
        listed = {"set": IN_T | {"name": "s", "type": "inet_service", "flags": flags, "elem": [{"range": [1, 5]}]}}
        assert _table(listed).sets == (Set("s", "inet_service", frozenset({"interval"}), ((1, 5),)),)


def test_protocols_are_read_by_number_and_by_the_names_of_etc_protocols() -> None:
    for value in (47, "gre"):
        match = {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": value}}
        assert _rule(match).statements == (Match(Meta("l4proto"), (47, 47)),)


def test_a_masked_prefix_is_its_network() -> None:
    left = {"payload": {"protocol": "ip", "field": "saddr"}}
    match = {"match": {"op": "==", "left": left, "right": {"prefix": {"addr": "10.1.2.3", "len": 8}}}}
    assert _rule(match).statements == (Match(Payload("ip", "saddr"), (10 << 24, (11 << 24) - 1)),)


def test_a_base_chain_keeps_what_verification_needs() -> None:
    listed = {"chain": IN_T | {"name": "c", "type": "filter", "hook": "prerouting", "prio": -300, "policy": "drop"}}
    assert _table(listed).chains == (Chain("c", BaseHook("filter", "prerouting", -300, "drop")),)


def test_objects_of_other_kinds_are_told_apart() -> None:
    assert _table({"counter": IN_T | {"name": "mine", "handle": 4, "packets": 0, "bytes": 0}}).others == (
        Other("counter", "mine"),
    )
