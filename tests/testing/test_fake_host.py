"""A host in memory does with policies what a real one does, beside other people's rules."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctpolicy.errors import HostError, InputError, NotAppliedError, RefusedError
from ctpolicy.language.policy import Policy
from ctpolicy.meaning_space import bypass_space
from ctpolicy.nftables.compile import compile_policy
from ctpolicy.packetspace.packet import parse_packet
from ctpolicy.testing import FakeHost, packets_near, policies
from policies import METRICS, VXLAN, policy

TUNNEL = parse_packet("in udp 192.168.7.72:40000 -> 192.168.7.71:4789")
SCRAPE = parse_packet("in tcp 192.168.7.72:40000 -> 192.168.7.71:9100")


def listing(*objects: Mapping[str, object]) -> str:
    """What `nft -j list ruleset` prints of others' rules, in the order in which it does."""
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, *objects]})


def table_of_others(*statements: object) -> str:
    inside = {"family": "inet", "table": "edge"}
    hook = {"type": "filter", "hook": "prerouting", "prio": -300, "policy": "accept"}
    jump = {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": "@tunnels"}}
    return listing(
        {"table": {"family": "inet", "name": "edge", "handle": 1}},
        {"chain": inside | {"name": "early", "handle": 1} | hook},
        {"chain": inside | {"name": "last", "handle": 2}},
        {"set": inside | {"name": "tunnels", "type": "inet_service", "handle": 4, "elem": [4789, 8472]}},
        {"rule": inside | {"chain": "early", "handle": 5, "expr": [jump, {"goto": {"target": "last"}}]}},
        {"rule": inside | {"chain": "last", "handle": 6, "expr": list(statements)}},
    )


def test_applied_policy_is_live_and_a_second_apply_writes_nothing() -> None:
    host = FakeHost()
    assert host.plan(policy(METRICS))
    assert host.apply(policy(METRICS))
    assert host.read() == compile_policy(policy(METRICS))
    written = len(host.kernel.documents)
    assert not host.apply(policy(METRICS))
    assert len(host.kernel.documents) == written
    assert "table inet ctpolicy {\n" in host.ruleset()
    assert "9100" in host.ruleset()
    assert host.untracked(SCRAPE)


def test_what_is_removed_is_tracked_again() -> None:
    host = FakeHost()
    host.apply(policy(METRICS))
    assert host.remove()
    assert host.read() is None
    assert host.ruleset() == ""
    assert not host.untracked(SCRAPE)
    assert not host.remove()


@settings(max_examples=8)
@given(policies(max_entries=4), policies(max_entries=4), st.data())
def test_host_does_what_the_policy_means(first: Policy, then: Policy, data: st.DataObject) -> None:
    host = FakeHost()
    for one in (first, then):
        host.apply(one)
        assert host.space() == bypass_space(one)
        packet = data.draw(packets_near(one))
        assert host.untracked(packet) == (packet in bypass_space(one))


def test_others_rules_count_too_and_stay() -> None:
    host = FakeHost()
    host.load(table_of_others({"notrack": None}))
    assert host.untracked(TUNNEL)
    assert not host.untracked(SCRAPE)
    plan = host.apply(policy(VXLAN))
    assert [standing.place for standing in plan.others.standing] == ["table inet edge, chain last"]
    host.remove()
    assert host.untracked(TUNNEL)
    assert "table inet edge {\n" in host.ruleset()


def test_what_others_drop_is_not_untracked() -> None:
    host = FakeHost()
    host.apply(policy(VXLAN))
    assert host.untracked(TUNNEL)
    host.load(table_of_others({"drop": None}))
    assert not host.untracked(TUNNEL)


def test_what_cannot_be_told_is_not_guessed() -> None:
    host = FakeHost()
    asks_mark = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 7}}
    host.load(table_of_others(asks_mark, {"notrack": None}))
    with pytest.raises(InputError, match="hangs on what others' rules ask"):
        host.untracked(TUNNEL)
    assert not host.untracked(SCRAPE)
    assert TUNNEL not in host.space()


def test_table_of_our_name_that_is_not_ours_is_left_alone() -> None:
    host = FakeHost()
    theirs = {"family": "inet", "table": "ctpolicy", "name": "theirs", "handle": 1}
    host.load(listing({"table": {"family": "inet", "name": "ctpolicy", "handle": 1}}, {"chain": theirs}))
    with pytest.raises(HostError, match="ctpolicy did not make"):
        host.apply(policy(VXLAN))


def test_any_call_can_be_made_to_fail() -> None:
    host = FakeHost()
    host.apply(policy(VXLAN))
    host.kernel.fail_at_change(len(host.kernel.changing) + 1, RefusedError("It said no."))
    with pytest.raises(NotAppliedError, match="It said no"):
        host.apply(policy(METRICS))
    assert host.read() == compile_policy(policy(VXLAN))


@pytest.mark.parametrize("text", ["", "table inet x {}", "[]", '{"nftables": 1}'])
def test_what_is_no_listing_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        FakeHost().load(text)


def test_object_that_the_fake_does_not_know_is_told() -> None:
    table = {"table": {"family": "inet", "name": "edge", "handle": 1}}
    with pytest.raises(ValueError, match="does not know what a flowtable is"):
        FakeHost().load(listing(table, {"flowtable": {"family": "inet", "table": "edge", "name": "fast"}}))
